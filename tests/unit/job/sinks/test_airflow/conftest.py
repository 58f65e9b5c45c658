"""A world with one Airflow in it: the stand-in, the secrets in their places, and sinks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec import structs

from ecr_refresher.core.model import Credential, Failed, Failure, Holding, Reason, Secret
from ecr_refresher.core.plan import Airflow, Connection, SecretRef
from ecr_refresher.job.sinks.airflow.api import AirflowSink
from tests.testbed.secret_hunt import Secrets
from tests.testbed.standins.airflow import AirflowStandIn
from tests.testbed.standins.serving import Exchange, Reply, StandIn

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
ISSUED_AT = 1_795_000_000.0
DOCKER_DEFAULT = Connection("docker_default", HOST)
PASSWORD_FILE = SecretRef("file", "/run/secrets/airflow-password")
TOKEN_FILE = SecretRef("file", "/run/secrets/airflow-token")
USER, PASSWORD, WRONG_PASSWORD = "ecr-refresher", "the password of Airflow's user", "a password that is not right"
ECR_TOKEN = "the-token-of-ecr-" + "Zm9vYmFy" * 300


def credential(token: str = ECR_TOKEN, life: float = 43_200.0) -> Credential:
    return Credential("AWS", Secret(token), issued_at=ISSUED_AT, expires_at=ISSUED_AT + life)


def wanted(_: Holding) -> bool:
    return True


class World:
    """Where secrets are, what time it is, and sinks for any URL."""

    def __init__(self, url: str) -> None:
        self.airflow = Airflow("prod", url, (DOCKER_DEFAULT,), username=USER, password=PASSWORD_FILE)
        self.secrets = {PASSWORD_FILE.where: PASSWORD}
        self.now = 1000.0

    def sink(self, *, read_timeout_s: float = 10.0, **changes: Any) -> AirflowSink:
        return AirflowSink(
            structs.replace(self.airflow, **changes),
            read_secret=self._read_secret,
            monotonic=lambda: self.now,
            timeout_s=(2.0, read_timeout_s),
        )

    def _read_secret(self, ref: SecretRef) -> Secret:
        if ref.where not in self.secrets:
            raise Failed(Reason.MISSING, f"the file {ref.where} is not there (yet)", "Create it")
        return Secret(self.secrets[ref.where])

    def failure(self, act: Callable[[], object], reason: Reason, *words: str) -> Failure:
        """Expect that the act fails for this reason, with these words in message or fix, and no secret in them."""
        with pytest.raises(Failed) as caught:
            act()
        failure = caught.value.failure
        assert failure.reason is reason, failure
        assert failure.fix
        assert not failure.message.endswith(".")
        for word in words:
            assert word in str(failure)
        for secret in (ECR_TOKEN, PASSWORD, WRONG_PASSWORD, *self.secrets.values()):
            assert secret not in str(failure)
            assert secret not in repr(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return failure


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, secrets_seen: Secrets) -> None:
    """No proxies of the machine's own; all secrets known to the hunt."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    secrets_seen.add(ECR_TOKEN, PASSWORD, WRONG_PASSWORD)


@pytest.fixture
def airflow() -> Iterator[AirflowStandIn]:
    """Airflow 3 under a path prefix, with no connection in it."""
    with AirflowStandIn(USER, PASSWORD, prefix="/deployment") as stand_in:
        yield stand_in
    assert stand_in.crashes == []


@pytest.fixture
def world(airflow: AirflowStandIn) -> World:
    return World(airflow.url)


class Scripted(StandIn):
    """A server that answers as one function says, and keeps what it was asked."""

    def __init__(self, answer: Callable[[str, str], Reply], **options: Any) -> None:
        super().__init__(**options)
        self._answer = answer
        self.asked: list[tuple[str, str, str | None]] = []  # method, path, Authorization

    def respond(self, exchange: Exchange) -> None:
        self.asked.append((exchange.command, exchange.path, exchange.headers.get("Authorization")))
        exchange.send(self._answer(exchange.command, exchange.path))


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    """Start servers that answer anything at all."""
    started: list[Scripted] = []

    def start(answer: Callable[[str, str], Reply], **options: Any) -> Scripted:
        started.append(Scripted(answer, **options))
        started[-1].start()
        return started[-1]

    yield start
    for server in started:
        server.stop()
        assert server.crashes == []
