"""The other dialect: Airflow 2, as a small double of its API knows it. What it really does is shown on real ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ecr_refresher.core.model import NOTHING, Failed, Holding, Outcome, Reason
from ecr_refresher.core.plan import Connection
from tests.testbed.standins.serving import Exchange, Reply, StandIn

from .conftest import DOCKER_DEFAULT, HOST, PASSWORD, PASSWORD_FILE, USER, WRONG_PASSWORD, World, credential, wanted

PAGE = Reply(404, b"<!DOCTYPE html><html><title>Airflow 404</title></html>", "text/html; charset=utf-8")


class AirflowTwo(StandIn):
    """`/api/v1` with Basic; a wrong login is `wrong_login`, what is longer than `longest` breaks the database."""

    def __init__(self, version: str = "2.11.2", wrong_login: int = 401, longest: int = 1 << 20) -> None:
        super().__init__()
        self.version, self.wrong_login, self.longest = version, wrong_login, longest
        self.may_write = True
        self.broken = False
        self.password = PASSWORD
        self.connections: dict[str, dict[str, Any]] = {}
        self.refused = 0
        self.writes: list[str] = []

    def respond(self, exchange: Exchange) -> None:
        raw = exchange.body()
        path = exchange.path.partition("?")[0]
        exchange.send(self._answer(exchange, path, json.loads(raw) if raw else {}))

    def _answer(self, exchange: Exchange, path: str, body: dict[str, Any]) -> Reply:
        if path == "/api/v1/version":
            return Reply.json(200, {"version": self.version, "git_version": None})
        if not path.startswith("/api/v1/connections"):
            return PAGE
        login = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        if exchange.headers.get("Authorization") != f"Basic {login}":
            self.refused += 1
            return _problem(self.wrong_login, "Unauthorized" if self.wrong_login == 401 else "Forbidden")
        if path == "/api/v1/connections" and exchange.command == "GET":
            return _problem(500, "InvalidToken")  # as 2.11 says where one of them can't be decrypted
        if self.broken:
            return _problem(500, "OperationalError")
        return self._connection(exchange.command, path.rpartition("/")[2], body)

    def _connection(self, method: str, name: str, body: dict[str, Any]) -> Reply:
        if method == "GET":
            found = self.connections.get(name)
            if found is None:
                return _problem(404, "Connection not found")
            return Reply.json(200, {key: value for key, value in found.items() if key != "password"})
        if not self.may_write:
            return _problem(403, "Forbidden")
        if "team_name" in body:
            return _problem(400, f"{{'team_name': ['Unknown field.']}} {body['password']}")
        if len(body["password"]) > self.longest:
            return _problem(500, "DataError: value too long for type character varying(5000)")
        self.writes.append(method)
        if method == "POST":
            if body["connection_id"] in self.connections:
                return _problem(409, "Connection already exist")
            name = body["connection_id"]
        self.connections[name] = {**self.connections.get(name, {}), **body}
        return self._connection("GET", name, {})


def _problem(status: int, detail: str) -> Reply:
    body = json.dumps({"detail": detail, "status": status, "title": detail, "type": "about:blank"}).encode()
    return Reply(status, body, "application/problem+json")


@pytest.fixture
def two() -> Iterator[AirflowTwo]:
    with AirflowTwo() as stand_in:
        yield stand_in
    assert stand_in.crashes == []


@pytest.fixture
def world(two: AirflowTwo) -> World:
    return World(two.url)


def test_it_is_found_out_and_served(two: AirflowTwo, world: World) -> None:
    sink = world.sink()
    assert sink.look(DOCKER_DEFAULT, HOST) == NOTHING
    assert sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN
    two.connections["docker_default"] |= {"extra": '{"a": 1}', "port": 5000, "description": "mine"}
    assert sink.look(DOCKER_DEFAULT, HOST) == NOTHING
    assert sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN
    assert sink.look(DOCKER_DEFAULT, HOST) == Holding(credential().expires_at)
    assert two.writes == ["POST", "PATCH"]
    assert two.connections["docker_default"]["extra"] == '{"a": 1}'
    assert two.connections["docker_default"]["port"] == 5000


@pytest.mark.parametrize(("status", "words"), [(401, "auth_backends"), (403, "can_read, can_create and can_edit")])
def test_a_wrong_password_is_one_try_and_named(two: AirflowTwo, world: World, status: int, words: str) -> None:
    two.wrong_login = status
    world.secrets[PASSWORD_FILE.where] = WRONG_PASSWORD
    sink = world.sink()

    def look(number: int) -> bool:
        try:
            sink.look(Connection(f"docker_{number}", HOST), HOST)
        except Failed as error:
            return error.failure.login_refused
        return False

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(look, range(24)))
    assert two.refused == 1
    world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.DENIED, USER, PASSWORD_FILE.where, words)


def test_a_500_is_no_verdict_on_the_login(two: AirflowTwo, world: World) -> None:
    two.broken = True
    sink = world.sink()
    failure = world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.TRANSIENT, "answered 500 to a look")
    assert not failure.login_refused
    two.broken = False
    assert sink.look(DOCKER_DEFAULT, HOST) == NOTHING
    two.broken = True
    sink = world.sink()
    world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.TRANSIENT)
    two.broken, two.password, two.wrong_login = False, "another one by now", 403
    failure = world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.DENIED, "refuses the user")
    assert failure.login_refused


def test_after_a_good_login_403_is_about_rights(two: AirflowTwo, world: World) -> None:
    two.may_write = False
    failure = world.failure(
        lambda: world.sink().deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted),
        Reason.DENIED,
        "answered 403 to POST of the connection docker_default",
        "can_read, can_create and can_edit",
    )
    assert not failure.login_refused


def test_a_password_changed_in_mid_life_is_read_afresh_or_refused_as_such(two: AirflowTwo, world: World) -> None:
    sink = world.sink()
    sink.look(DOCKER_DEFAULT, HOST)
    two.password = world.secrets[PASSWORD_FILE.where] = "a newer password of the user"
    assert sink.look(DOCKER_DEFAULT, HOST) == NOTHING
    two.password = "the newest, which nobody has told us"
    failure = world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.DENIED, "refuses the user")
    assert failure.login_refused


def test_a_refused_field_is_named_and_nothing_else(world: World) -> None:
    connection = Connection("docker_default", HOST, team_name="data")
    world.failure(
        lambda: world.sink().deliver(connection, HOST, credential(), still_wanted=wanted),
        Reason.INVALID,
        "answered 400 to POST of the connection docker_default: it refuses team_name",
    )


@pytest.mark.parametrize(
    ("version", "length", "reason"),
    [
        ("2.7.3", 3680, Reason.INVALID),
        ("2.7.3+composer", 3680, Reason.INVALID),
        ("2.7.3", 3679, Reason.TRANSIENT),
        ("2.8.4", 3680, Reason.TRANSIENT),
    ],
)
def test_a_token_that_does_not_fit_says_column_length_and_what_to_do(
    two: AirflowTwo, world: World, version: str, length: int, reason: Reason
) -> None:
    two.version, two.longest = version, 1000
    words = ["connection.password", "VARCHAR(5000)", str(length), "Widen"] if reason is Reason.INVALID else ["500"]
    world.failure(
        lambda: world.sink().deliver(DOCKER_DEFAULT, HOST, credential("x" * length), still_wanted=wanted),
        reason,
        *words,
    )
