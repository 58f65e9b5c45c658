"""The stand-in for Airflow 3, as the official client sees it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import urllib3
from airflow_client.client import ApiClient, ApiException, Configuration
from airflow_client.client.api.connection_api import ConnectionApi
from airflow_client.client.api.version_api import VersionApi
from airflow_client.client.models.connection_body import ConnectionBody

from tests.testbed.standins.airflow import AirflowStandIn
from tests.testbed.standins.airflow_faults import LOGIN_PAGE, Unprocessable
from tests.testbed.standins.honest.airflow_connections import Connection
from tests.testbed.standins.script import Cut, HalfAnswer, Malformed
from tests.testbed.standins.serving import StandIn

from .conftest import Clock

STORED = Connection(
    "docker_default",
    "docker",
    description="ours",
    host="registry.example.com",
    login="AWS",
    password="old-token",
    schema="s",
    port=5000,
    extra='{"reauth": true, "api_key": "k", "deep": [{"token": "t"}]}',
)
PATH = "/api/v2/connections/docker_default"
BODY = {"connection_id": "docker_default", "conn_type": "docker"}


@pytest.fixture
def airflow(kept: Callable[[StandIn], StandIn], clock: Clock) -> AirflowStandIn:
    stand_in = AirflowStandIn("ecr", "pass", prefix="/deployment", clock=clock)
    stand_in.connections["docker_default"] = STORED
    return cast("AirflowStandIn", kept(stand_in))


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=10) as pool:
        yield pool


@pytest.fixture
def ask(airflow: AirflowStandIn, pool: urllib3.PoolManager) -> Callable[..., urllib3.BaseHTTPResponse]:
    """Ask with plain JSON, as a user who has just logged in, or with the token given."""

    def ask(method: str, path: str = PATH, body: Any = None, token: str | None = None) -> urllib3.BaseHTTPResponse:
        headers = {"Authorization": f"Bearer {token or log_in(airflow, pool)}"}
        return pool.request(method, airflow.url + path, headers=headers, json=body)

    return ask


Ask = Callable[..., urllib3.BaseHTTPResponse]


def log_in(airflow: AirflowStandIn, pool: urllib3.PoolManager, username: str = "ecr", password: str = "pass") -> str:
    login = {"username": username, "password": password}
    answer = pool.request("POST", f"{airflow.url}/auth/token", json=login)
    assert answer.status == 201, answer.status
    return str(answer.json()["access_token"])


@pytest.fixture
def client(airflow: AirflowStandIn, pool: urllib3.PoolManager) -> Iterator[ApiClient]:
    configuration = Configuration(host=airflow.url, access_token=log_in(airflow, pool), retries=0)
    with ApiClient(configuration) as client:
        yield client
        client.rest_client.pool_manager.clear()


def body(**fields: Any) -> ConnectionBody:
    return ConnectionBody(connection_id="docker_default", conn_type="docker", **fields)


def test_the_official_client_reads_a_connection_with_its_secrets_masked(client: ApiClient) -> None:
    seen = ConnectionApi(client).get_connection("docker_default")
    assert (seen.host, seen.login, seen.port, seen.var_schema) == ("registry.example.com", "AWS", 5000, "s")
    assert seen.password == "***"
    assert json.loads(seen.extra or "") == {"reauth": True, "api_key": "***", "deep": [{"token": "***"}]}


def test_the_official_client_creates_and_changes(client: ApiClient, airflow: AirflowStandIn) -> None:
    api = ConnectionApi(client)
    created = api.post_connection(ConnectionBody(connection_id="new", conn_type="docker", password="one"))
    assert created.password == "***"
    assert airflow.connections["new"].password == "one"
    api.patch_connection("new", ConnectionBody(connection_id="new", conn_type="docker", password="two", host="h"))
    assert airflow.connections["new"] == Connection("new", "docker", host="h", password="two")
    assert [(write.method, write.password) for write in airflow.writes] == [
        ("POST", "one"),
        ("PATCH", "two"),
    ]


def test_the_version_needs_no_login(airflow: AirflowStandIn) -> None:
    with ApiClient(Configuration(host=airflow.url, retries=0)) as client:
        assert VersionApi(client).get_version().version == "3.3.2"
        client.rest_client.pool_manager.clear()


def test_a_patch_leaves_alone_what_it_does_not_send(ask: Ask, airflow: AirflowStandIn) -> None:
    assert ask("PATCH", body={**BODY, "password": "new-token"}).status == 200
    assert airflow.connections["docker_default"] == Connection(
        "docker_default", "docker", "ours", "registry.example.com", "AWS", "new-token", "s", 5000, STORED.extra
    )


def test_an_explicit_null_clears_and_three_stars_keep(ask: Ask, airflow: AirflowStandIn) -> None:
    assert ask("PATCH", body={**BODY, "password": "***", "port": None, "description": None}).status == 200
    stored = airflow.connections["docker_default"]
    assert (stored.password, stored.port, stored.description) == ("old-token", None, None)


def test_extra_is_replaced_whole(ask: Ask, airflow: AirflowStandIn) -> None:
    ask("PATCH", body={**BODY, "extra": '{"api_key": "***"}'})
    assert airflow.connections["docker_default"].extra == '{"api_key": "***"}'


@pytest.mark.parametrize("left_out", ["connection_id", "conn_type"])
def test_a_patch_without_its_names_is_a_422_that_echoes_the_password(ask: Ask, left_out: str) -> None:
    sent = {name: value for name, value in BODY.items() if name != left_out} | {"password": "echoed"}
    answer = ask("PATCH", body=sent)
    assert answer.status == 422
    assert b"echoed" in answer.data


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": 5},
        {"port": "5000"},
        {"port": True},
        {"conn_type": None},
        {"unknown": "x"},
        {"connection_id": "no spaces"},
        {"connection_id": "x" * 201},
    ],
)
def test_a_wrong_field_is_a_422(ask: Ask, airflow: AirflowStandIn, wrong: dict[str, Any]) -> None:
    assert ask("POST", "/api/v2/connections", {**BODY, **wrong}).status == 422
    assert ask("PATCH", PATH, {**BODY, **wrong}).status == 422
    assert airflow.writes == []


def test_no_object_as_body_is_a_422_too(ask: Ask, airflow: AirflowStandIn, pool: urllib3.PoolManager) -> None:
    assert ask("POST", "/api/v2/connections", ["x"]).status == 422
    assert pool.request("POST", f"{airflow.url}/auth/token", json={"username": "ecr"}).status == 422
    assert pool.request("POST", f"{airflow.url}/auth/token", body=b"{").status == 422


def test_missing_duplicate_and_mismatched_have_their_own_codes(ask: Ask) -> None:
    assert ask("POST", "/api/v2/connections", BODY).status == 409
    assert ask("PATCH", PATH, {**BODY, "connection_id": "other"}).status == 400
    gone = {**BODY, "connection_id": "gone"}
    assert ask("PATCH", "/api/v2/connections/gone", gone).status == 404
    assert ask("GET", "/api/v2/connections/gone").status == 404
    assert ask("GET", "/api/v2/dags").status == 404
    assert ask("PUT").status == 405


def test_the_client_sees_a_missing_connection_as_an_api_exception(client: ApiClient) -> None:
    with pytest.raises(ApiException) as raised:
        ConnectionApi(client).get_connection("gone")
    assert raised.value.status == 404


def test_outside_its_prefix_there_is_nothing(airflow: AirflowStandIn, pool: urllib3.PoolManager) -> None:
    root = airflow.url.removesuffix("/deployment")
    assert root != airflow.url
    assert pool.request("GET", f"{root}/api/v2/version").status in (401, 404)
    assert pool.request("GET", f"{airflow.url}/api/v2/version").status == 200


def test_a_wrong_password_is_a_401_and_on_record(airflow: AirflowStandIn, pool: urllib3.PoolManager) -> None:
    for username, password in (("ecr", "wrong"), ("nobody", "pass")):
        login = {"username": username, "password": password}
        assert pool.request("POST", f"{airflow.url}/auth/token", json=login).status == 401
    log_in(airflow, pool)
    assert [attempt.granted for attempt in airflow.attempts] == [False, False, True]


def test_an_expired_login_is_told_from_one_of_another_key(
    ask: Ask, airflow: AirflowStandIn, pool: urllib3.PoolManager, clock: Clock
) -> None:
    airflow.jwt.life_s = 5
    token = log_in(airflow, pool)
    assert ask("GET", token=token).status == 200
    clock.now += 5
    expired = ask("GET", token=token)
    assert (expired.status, expired.json()["detail"]) == (401, "Token Expired")
    airflow.rotate_key()
    for other in (token, "no.jwt.atall", "x"):
        invalid = ask("GET", token=other)
        assert (invalid.status, invalid.json()["detail"]) == (403, "Invalid JWT token")
    assert ask("GET").status == 200


def test_no_login_at_all_is_a_401(airflow: AirflowStandIn, pool: urllib3.PoolManager) -> None:
    assert pool.request("GET", airflow.url + PATH).status == 401


def test_a_read_only_user_may_look_but_not_write(ask: Ask, airflow: AirflowStandIn, pool: urllib3.PoolManager) -> None:
    airflow.set_user("viewer", "v", read_only=True)
    token = log_in(airflow, pool, "viewer", "v")
    assert ask("GET", token=token).status == 200
    refused = ask("PATCH", body={**BODY, "password": "p"}, token=token)
    assert (refused.status, refused.json()["detail"]) == (403, "Forbidden")
    assert airflow.writes == []


def test_meanwhile_happens_between_request_and_write(ask: Ask, airflow: AirflowStandIn) -> None:
    def somebody_deletes_it(method: str, connection_id: str) -> None:
        airflow.connections.pop(connection_id)

    def somebody_creates_it(method: str, connection_id: str) -> None:
        airflow.connections[connection_id] = STORED

    airflow.meanwhile = somebody_deletes_it
    assert ask("PATCH", body=BODY).status == 404
    airflow.meanwhile = somebody_creates_it
    assert ask("POST", "/api/v2/connections", BODY).status == 409


@pytest.mark.parametrize(("fault", "took_effect"), [(Cut(), True), (HalfAnswer(), True), (Cut(processed=False), False)])
def test_an_answer_lost_may_have_taken_effect(
    ask: Ask, airflow: AirflowStandIn, fault: Cut | HalfAnswer, took_effect: bool
) -> None:
    airflow.next(fault, method="PATCH")
    with pytest.raises(urllib3.exceptions.ProtocolError):
        ask("PATCH", body={**BODY, "password": "new"})
    assert (airflow.connections["docker_default"].password == "new") is took_effect
    assert ask("PATCH", body={**BODY, "password": "new"}).status == 200


def test_a_login_page_or_a_gateway_may_answer_instead(ask: Ask, airflow: AirflowStandIn) -> None:
    airflow.next(LOGIN_PAGE, Malformed(b"<html>", 502, "text/html"), method="GET")
    page = ask("GET")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert ask("GET").status == 502
    assert ask("GET").status == 200


def test_a_422_can_be_had_for_a_right_request(ask: Ask, airflow: AirflowStandIn) -> None:
    airflow.always(Unprocessable(), method="PATCH")
    answer = ask("PATCH", body={**BODY, "password": "echoed"})
    assert answer.status == 422
    assert b"echoed" in answer.data
    airflow.heal()
    assert ask("PATCH", body={**BODY, "password": "fine"}).status == 200


def test_reads_are_on_record(ask: Ask, airflow: AirflowStandIn) -> None:
    ask("GET")
    ask("GET", "/api/v2/connections/gone")
    assert [read.connection_id for read in airflow.reads] == ["docker_default", "gone"]
