"""A login for machines: client credentials at Airflow itself, or at an identity provider; and a client certificate."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import pytest
from msgspec import structs

from ecr_refresher.core.model import NOTHING, Failed, Outcome, Reason
from ecr_refresher.core.plan import Client, Connection, SecretRef
from tests.testbed.certificates import CertificateAuthority
from tests.testbed.standins.airflow import AirflowStandIn
from tests.testbed.standins.serving import Exchange, Reply, StandIn

from .conftest import DOCKER_DEFAULT, HOST, PASSWORD, USER, Scripted, World, credential, wanted

ID, SECRET, WRONG = "ecr:refresher", "the secret/of the client +", "a secret that is not right"
SECRET_FILE = SecretRef("file", "/run/secrets/client-secret")
PLACE = f"the file {SECRET_FILE.where}"


class Provider(StandIn):
    """An identity provider's token endpoint that knows one client; `basic` and `in_body` are what it understands."""

    def __init__(self, issue: Callable[[], str]) -> None:
        super().__init__()
        self._issue = issue
        self.basic, self.in_body = True, True
        self.error: tuple[int, str] | None = None
        self.expires_in: Any = 300
        self.forms: list[dict[str, str]] = []

    def respond(self, exchange: Exchange) -> None:
        form = {name: values[0] for name, values in parse_qs(exchange.body().decode()).items()}
        self.forms.append(form)
        assert exchange.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert exchange.path == "/oauth2/token/"
        exchange.send(self._answer(form, exchange.headers.get("Authorization", "")))

    def _answer(self, form: dict[str, str], authorization: str) -> Reply:
        if self.error is not None:
            return Reply.json(self.error[0], {"error": self.error[1], "error_description": f"{SECRET} {form}"})
        given: tuple[str, ...] = ()
        if self.basic and authorization.startswith("Basic "):
            name, _, secret = base64.b64decode(authorization[6:]).decode().partition(":")
            given = (unquote_plus(name), unquote_plus(secret))
        elif self.in_body and "client_secret" in form:
            given = (form["client_id"], form["client_secret"])
        if given != (ID, SECRET):
            body = json.dumps({"error": "invalid_client"}).encode()
            if self.basic and authorization:
                return Reply(401, body, "application/json", {"WWW-Authenticate": 'Basic realm="idp"'})
            return Reply(400, body, "application/json")
        if form.get("grant_type") != "client_credentials":
            return Reply.json(400, {"error": "unsupported_grant_type"})
        content = {"access_token": self._issue(), "token_type": "Bearer", "expires_in": self.expires_in}
        return Reply.json(200, content)


@pytest.fixture
def provider(airflow: AirflowStandIn, world: World) -> Iterator[Provider]:
    """Its tokens are ones that the Airflow takes."""
    world.secrets[SECRET_FILE.where] = SECRET
    with Provider(lambda: airflow.jwt.issue(USER)) as provider:
        yield provider
    assert provider.crashes == []


def by_client(provider: Provider | None = None, **more: str) -> dict[str, Any]:
    url = None if provider is None else f"{provider.url}/oauth2/token/"
    return {"username": None, "password": None, "client": Client(ID, SECRET_FILE, url, **more)}


# --- an identity provider ----------------------------------------------------------------------------------------
def test_its_token_opens_airflow_and_is_fetched_once_for_all_threads(
    airflow: AirflowStandIn, provider: Provider, world: World
) -> None:
    sink = world.sink(**by_client(provider))
    with ThreadPoolExecutor(8) as pool:
        outcomes = pool.map(
            lambda number: sink.deliver(Connection(f"docker_{number}", HOST), HOST, credential(), still_wanted=wanted),
            range(24),
        )
        assert set(outcomes) == {Outcome.WRITTEN}
    assert provider.forms == [{"grant_type": "client_credentials"}]
    assert airflow.attempts == []


def test_scope_and_audience_go_along_where_they_are_set(provider: Provider, world: World) -> None:
    world.sink(**by_client(provider, scope="airflow:write x", audience="https://airflow")).enter()
    assert provider.forms[0] == {
        "grant_type": "client_credentials",
        "scope": "airflow:write x",
        "audience": "https://airflow",
    }


def test_a_provider_that_takes_the_secret_in_the_body_alone_gets_it_there(provider: Provider, world: World) -> None:
    provider.basic = False
    world.sink(**by_client(provider)).enter()
    assert [("client_secret" in form) for form in provider.forms] == [False, True]


def test_the_bearer_token_goes_with_the_version_too_for_a_proxy_in_front(
    provider: Provider, world: World, scripted: Callable[..., Scripted]
) -> None:
    server = scripted(
        lambda method, path: (
            Reply.json(200, {"version": "3.3.2"}) if "version" in path else Reply.json(404, {"detail": "none"})
        )
    )
    sink = world.sink(url=server.url, **by_client(provider))
    assert sink.version() == "3.3"
    assert sink.look(DOCKER_DEFAULT, HOST) == NOTHING
    assert len({authorization for _, _, authorization in server.asked}) == 1
    assert (server.asked[0][2] or "").startswith("Bearer ")


@pytest.mark.parametrize(
    ("expires_in", "used_s"), [(300, 240.0), (60, 30.0), (None, 3540.0), ("soon", 3540.0), (10**400, 3540.0)]
)
def test_a_token_is_used_until_a_minute_before_its_end(
    provider: Provider, world: World, expires_in: Any, used_s: float
) -> None:
    provider.expires_in = expires_in
    sink = world.sink(**by_client(provider))
    sink.look(DOCKER_DEFAULT, HOST)
    world.now += used_s - 0.1
    sink.look(DOCKER_DEFAULT, HOST)
    assert len(provider.forms) == 1
    world.now += 0.2
    sink.look(DOCKER_DEFAULT, HOST)
    assert len(provider.forms) == 2


@pytest.mark.parametrize("basic", [True, False])
def test_a_wrong_secret_is_named_and_tried_once(provider: Provider, world: World, basic: bool) -> None:
    provider.basic = basic
    world.secrets[SECRET_FILE.where] = WRONG
    sink = world.sink(**by_client(provider))

    def refused(number: int) -> bool:
        try:
            sink.look(Connection(f"docker_{number}", HOST), HOST)
        except Failed as error:
            return error.failure.login_refused
        return False

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(refused, range(24)))
    assert len(provider.forms) == (1 if basic else 2)
    words = (f"the identity provider of Airflow 'prod' at {provider.url}", f"refuses the client {ID}", PLACE)
    world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.DENIED, *words)
    world.secrets[SECRET_FILE.where] = SECRET
    assert sink.look(DOCKER_DEFAULT, HOST) == NOTHING


@pytest.mark.parametrize(
    ("error", "reason", "words", "login_refused"),
    [
        ((400, "invalid_scope"), Reason.INVALID, "refuses the scope", False),
        ((400, "invalid_target"), Reason.INVALID, "refuses the audience", False),
        ((400, "unauthorized_client"), Reason.DENIED, "the grant client_credentials", False),
        ((400, "unsupported_grant_type"), Reason.DENIED, "the grant client_credentials", False),
        ((400, "the secret itself"), Reason.INVALID, "answered 400 to the client's login", False),
        ((401, "the secret itself"), Reason.DENIED, "refuses the client", True),
        ((503, "temporarily_unavailable"), Reason.TRANSIENT, "answered 503", False),
        ((429, "slow_down"), Reason.THROTTLED, "answered 429", False),
        ((200, "no token"), Reason.INVALID, "without an access_token", False),
    ],
)
def test_what_a_provider_answers_has_its_reason_and_quotes_nothing(
    provider: Provider, world: World, error: tuple[int, str], reason: Reason, words: str, login_refused: bool
) -> None:
    provider.error = error
    failure = world.failure(lambda: world.sink(**by_client(provider)).look(DOCKER_DEFAULT, HOST), reason, words)
    assert failure.login_refused is login_refused
    assert "itself" not in str(failure)


def test_a_token_that_airflow_refuses_names_scope_and_audience(
    airflow: AirflowStandIn, provider: Provider, world: World
) -> None:
    provider._issue = lambda: "a.token.of-somebody-else"
    failure = world.failure(
        lambda: world.sink(**by_client(provider)).look(DOCKER_DEFAULT, HOST),
        Reason.DENIED,
        "refuses the token that token_url gave",
        "scope and audience",
    )
    assert not failure.login_refused
    assert len(provider.forms) == 2, "once more, in case it was spent"


# --- Airflow's own /auth/token -----------------------------------------------------------------------------------
class KeycloakManaged(StandIn):
    """Airflow 3 with Keycloak's auth manager (provider 0.11): what its POST /auth/token takes and says."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[dict[str, str]] = []
        self.refuses: Reply | None = None

    def respond(self, exchange: Exchange) -> None:
        raw = exchange.body()
        if exchange.path == "/api/v2/version":
            exchange.send(Reply.json(200, {"version": "3.3.2"}))
        elif exchange.path == "/auth/token":
            body = json.loads(raw)
            self.bodies.append(body)
            exchange.send(self.refuses or self._log_in(body))
        else:
            exchange.send(Reply.json(404, {"detail": "none"}))

    def _log_in(self, body: dict[str, str]) -> Reply:
        if body == {"grant_type": "client_credentials", "client_id": ID, "client_secret": SECRET}:
            return Reply.json(201, {"access_token": "a.jwt.of-its-own"})
        return Reply.json(403, {"detail": "Client credentials authentication failed"})


@pytest.fixture
def managed(world: World) -> Iterator[KeycloakManaged]:
    world.secrets[SECRET_FILE.where] = SECRET
    with KeycloakManaged() as managed:
        yield managed
    assert managed.crashes == []


def test_client_credentials_buy_a_token_of_airflow_itself(managed: KeycloakManaged, world: World) -> None:
    assert world.sink(url=managed.url, **by_client()).look(DOCKER_DEFAULT, HOST) == NOTHING
    assert [body["grant_type"] for body in managed.bodies] == ["client_credentials"]


def test_a_wrong_secret_at_airflow_is_a_refused_login(managed: KeycloakManaged, world: World) -> None:
    world.secrets[SECRET_FILE.where] = WRONG
    sink = world.sink(url=managed.url, **by_client())
    for _ in range(3):
        failure = world.failure(
            lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.DENIED, f"refuses the client {ID}", PLACE
        )
        assert failure.login_refused
    assert len(managed.bodies) == 1


@pytest.mark.parametrize("status", [400, 404, 405, 422])
def test_an_auth_manager_that_knows_no_client_credentials_is_named(
    managed: KeycloakManaged, world: World, status: int
) -> None:
    managed.refuses = Reply.json(status, {"detail": [{"loc": ["body", "username"], "input": SECRET}]})
    failure = world.failure(
        lambda: world.sink(url=managed.url, **by_client()).look(DOCKER_DEFAULT, HOST),
        Reason.INVALID,
        "takes no client credentials",
        "Give token_url",
    )
    assert not failure.login_refused


# --- a client certificate ----------------------------------------------------------------------------------------
@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path / "ca")


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def strict(authority: CertificateAuthority, request: pytest.FixtureRequest) -> Iterator[World]:
    """An Airflow behind a proxy that wants a certificate of the authority."""
    with AirflowStandIn(USER, PASSWORD, tls=authority.issue("127.0.0.1")) as server:
        server.demand_certificates(str(authority.ca_file), request.param)
        world = World(server.url)
        world.airflow = structs.replace(world.airflow, ca_file=str(authority.ca_file))
        yield world


def test_a_certificate_and_its_key_are_shown_to_whoever_asks(strict: World, authority: CertificateAuthority) -> None:
    cert, key = authority.issue("client")
    sink = strict.sink(client_cert=cert, client_key=key)
    assert sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN


def test_one_file_may_hold_both(strict: World, authority: CertificateAuthority, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text("".join(Path(file).read_text() for file in authority.issue("client")))
    assert strict.sink(client_cert=str(both)).look(DOCKER_DEFAULT, HOST) == NOTHING


def test_without_a_certificate_the_setting_is_named(strict: World) -> None:
    with pytest.raises(Failed) as caught:
        strict.sink().look(DOCKER_DEFAULT, HOST)
    failure = caught.value.failure
    # TLS 1.2 has no alert of its own for it; that of 1.3 may get lost when the server hangs up.
    assert failure.reason is Reason.TRANSIENT or failure.fix.startswith("Give client_cert and client_key"), failure


def test_a_certificate_of_another_authority(strict: World, tmp_path: Path) -> None:
    cert, key = CertificateAuthority(tmp_path / "other").issue("client")
    with pytest.raises(Failed) as caught:
        strict.sink(client_cert=cert, client_key=key).look(DOCKER_DEFAULT, HOST)
    failure = caught.value.failure
    assert failure.reason is Reason.TRANSIENT or failure.fix == "Renew or correct client_cert", failure


def test_files_that_hold_no_pair(world: World, authority: CertificateAuthority, tmp_path: Path) -> None:
    (cert, _), (_, another) = authority.issue("one"), authority.issue("another")
    empty = tmp_path / "empty.pem"
    empty.touch()
    for pair, reason, words in (
        ((cert, another), Reason.INVALID, "can't be used with its key"),
        ((str(empty), None), Reason.INVALID, "can't be used with its key"),
        ((str(tmp_path / "nowhere"), another), Reason.MISSING, "nowhere can't be read"),
        ((cert, str(tmp_path)), Reason.INVALID, "is not a regular file"),
    ):
        world.failure(lambda: world.sink(client_cert=pair[0], client_key=pair[1]), reason, words)  # noqa: B023
