"""The adapter against every real Airflow that it must serve: login, create, update, the user's own fields, errors."""

from __future__ import annotations

import dataclasses
import secrets
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from msgspec import structs

from ecr_refresher.core.model import NOTHING, Holding, Outcome, Reason
from ecr_refresher.core.plan import Connection, Header
from tests.integration.airflow_client import DOCKER, HEADER, PASSWORD, TOKEN, Client, by_token, token
from tests.integration.conftest import Airflows
from tests.testbed import parts
from tests.testbed.airflow import Airflow
from tests.testbed.airflow_flavours import AIRFLOW_2, EVERY, FAB, MAIN, SIMPLE, on
from tests.testbed.processes import wait_until
from tests.testbed.registry import HOST
from tests.testbed.secret_hunt import Secrets
from tests.testbed.standins.serving import Exchange, Reply, StandIn

pytestmark = pytest.mark.real("airflow")
OWN = {"description": "pulls for the data team\nask Ada", "port": 5000, "schema": "own", "extra": '{"reauth": false}'}


@on(*EVERY)
def test_with_the_least_rights_a_connection_is_created_and_updated(airflow: Airflow, secrets_seen: Secrets) -> None:
    client = Client(airflow)
    assert client.look() == NOTHING
    for _ in range(3):
        new = token(seen=secrets_seen)
        assert client.deliver(new) == Outcome.WRITTEN
        assert client.look() == Holding(new.expires_at)
        stored = airflow.db_connection("docker_default")
        assert stored is not None
        assert (stored.conn_type, stored.host, stored.login) == ("docker", HOST, "AWS")
        assert stored.password == new.secret.reveal()


@on(*EVERY)
def test_the_users_own_fields_stay(airflow: Airflow, secrets_seen: Secrets) -> None:
    airflow.create_connection("docker_default", host="elsewhere", password=secrets_seen.add("an-old-password"), **OWN)
    client, new = Client(airflow), token(seen=secrets_seen)
    assert client.look() == NOTHING
    assert client.deliver(new) == Outcome.WRITTEN
    assert client.look() == Holding(new.expires_at)
    stored = airflow.db_connection("docker_default")
    assert stored is not None
    assert (stored.port, stored.schema, stored.extra) == (OWN["port"], OWN["schema"], OWN["extra"])
    assert (stored.description or "").startswith(f"{OWN['description']} [ecr-refresher: {HOST} until ")
    assert stored.password == new.secret.reveal()


@on(*EVERY)
def test_rights_are_found_out_and_nothing_is_changed(airflow: Airflow, secrets_seen: Secrets) -> None:
    airflow.create_connection("docker_default", host=HOST, password=secrets_seen.add("an-old-password"), **OWN)
    before = airflow.db_connection("docker_default")
    gone = structs.replace(DOCKER, id="gone")
    for connection in (DOCKER, gone):
        client = Client(airflow)
        assert client.sink.version() == ".".join(airflow.flavour.version.split(".")[:2])
        client.sink.enter()
        assert client.sink.may(connection) == ()
    found = Client(airflow).sink.inspect(DOCKER, HOST)
    assert found is not None
    assert (found.host, found.port, found.reauth, found.until) == (HOST, "5000", False, None)
    assert Client(airflow).sink.inspect(gone, HOST) is None
    if airflow.flavour.major >= 3:  # of Airflow 2 the login tells: who may not read connections is turned away there
        assert Client(airflow, user="viewer").sink.may(DOCKER) == ("can_edit", "can_create")
    assert airflow.db_connection("docker_default") == before
    _, listed = airflow.admin("GET", "/connections?limit=100")
    assert [connection["connection_id"] for connection in listed["connections"]] == ["docker_default"]


@on(*EVERY)
def test_a_token_of_a_hundred_thousand_characters_fits(airflow: Airflow, secrets_seen: Secrets) -> None:
    new = token(seen=secrets_seen)
    long = dataclasses.replace(new, secret=type(new.secret)(secrets_seen.add(secrets.token_urlsafe(75_000))))
    assert Client(airflow).deliver(long) == Outcome.WRITTEN
    stored = airflow.db_connection("docker_default")
    assert stored is not None
    assert stored.password == long.secret.reveal()


@on(*EVERY)
def test_one_that_somebody_deletes_or_creates_meanwhile(airflow: Airflow, secrets_seen: Secrets) -> None:
    client = Client(airflow)
    client.look()  # there is none
    airflow.create_connection("docker_default", description="made meanwhile")
    assert client.deliver(token(seen=secrets_seen)) == Outcome.WRITTEN  # 409, then PATCH
    stored = airflow.db_connection("docker_default")
    assert stored is not None
    assert (stored.description or "").startswith("made meanwhile [ecr-refresher")
    client.look()
    airflow.delete_connection("docker_default")
    assert client.deliver(token(seen=secrets_seen)) == Outcome.WRITTEN  # 404, then POST


@on(*EVERY)
def test_the_role_viewer_is_told_which_permissions_it_lacks(airflow: Airflow) -> None:
    found = Client(airflow, user="viewer").failure()
    assert found.reason is Reason.DENIED
    assert "can_read, can_create and can_edit on Connections" in str(found)


@on(*EVERY)
def test_a_wrong_password_is_named_and_flagged_so_that_no_account_is_locked(
    airflow: Airflow, secrets_seen: Secrets
) -> None:
    client = Client(airflow)
    client.secrets[PASSWORD.where] = secrets_seen.add("not-the-password-of-oper")
    found = client.failure()
    assert found.reason is Reason.DENIED
    assert found.login_refused
    assert f"refuses the user oper with the password in the file {PASSWORD.where}" in str(found)


@on(*EVERY)
def test_create_false_and_ids_that_it_refuses(airflow: Airflow, secrets_seen: Secrets) -> None:
    found = Client(airflow).failure(Connection("docker_default", HOST, create=False))
    assert found.reason is Reason.MISSING
    assert "set create: true" in str(found)
    found = Client(airflow).failure(Connection("not an id", HOST))  # the settings would have refused it
    assert found.reason is Reason.INVALID
    assert "connection_id" in str(found)


@on(SIMPLE, AIRFLOW_2)
def test_a_team_where_there_are_no_teams_is_a_finding_of_that_slot_alone(airflow: Airflow) -> None:
    found = Client(airflow).failure(Connection("docker_default", HOST, team_name="data"))
    assert found.reason is Reason.INVALID
    assert "team_name" in str(found)
    assert Client(airflow).deliver(token()) == Outcome.WRITTEN


def test_a_team_where_there_are_teams(airflows: Airflows, secrets_seen: Secrets) -> None:
    airflow = airflows.new(SIMPLE, AIRFLOW__CORE__MULTI_TEAM="True")
    try:
        made = airflow.cli("teams", "create", "data")
        assert made.returncode == 0, made.stdout + made.stderr
        airflow.start()
        for connection, team in ((Connection("of_data", HOST, team_name="data"), "data"), (DOCKER, None)):
            assert Client(airflow, user="admin").deliver(token(seen=secrets_seen), connection) == Outcome.WRITTEN
            shown = airflow.get_connection(connection.id)
            assert shown is not None
            assert shown["team_name"] == team
            assert Client(airflow, user="admin").deliver(token(seen=secrets_seen), connection) == Outcome.WRITTEN
            shown = airflow.get_connection(connection.id)
            assert shown is not None
            assert shown["team_name"] == team, "an update leaves it"
        found = Client(airflow).failure(Connection("of_data_too", HOST, team_name="data"))  # `oper` is in no team
        assert found.reason is Reason.DENIED
        assert "in the team data" in str(found)
        found = Client(airflow, user="admin").failure(Connection("of_nobody", HOST, team_name="nobody"))
        assert found.reason is Reason.INVALID
        assert "team_name" in str(found)
    finally:
        airflow.close()


@contextmanager
def undecryptable(airflow: Airflow, name: str, secrets_seen: Secrets) -> Iterator[None]:
    """A connection whose password no Fernet key opens; it is gone afterwards, or every list would fail."""
    airflow.create_connection(name, host="elsewhere", password=secrets_seen.add("a-password-of-old"))
    for change in ("update connection set password = 'gAAAAABnone' where conn_id = ?", None):
        if change is None:
            yield
            change = "delete from connection where conn_id = ?"
        with closing(sqlite3.connect(airflow.home / "airflow.db")) as database, database:
            database.execute(change, (name,))


@on(FAB, AIRFLOW_2)
def test_a_connection_of_somebody_else_that_can_not_be_decrypted_stops_nothing(
    airflow: Airflow, secrets_seen: Secrets
) -> None:
    with undecryptable(airflow, "a_foreign_one", secrets_seen):
        assert Client(airflow).deliver(token(seen=secrets_seen)) == Outcome.WRITTEN
        assert Client(airflow).look().until is not None
        wrong = Client(airflow)
        wrong.secrets[PASSWORD.where] = secrets_seen.add("not-the-password-of-oper")
        assert wrong.failure().login_refused


@on(AIRFLOW_2)
def test_our_own_one_that_can_not_be_decrypted_says_nothing_about_the_login(
    airflow: Airflow, secrets_seen: Secrets
) -> None:
    with undecryptable(airflow, "docker_default", secrets_seen):
        found = Client(airflow).failure()
        assert found.reason is Reason.TRANSIENT
        assert not found.login_refused
        assert Client(airflow).deliver(token(seen=secrets_seen), Connection("another", HOST)) == Outcome.WRITTEN


def test_airflow_2_with_its_default_auth_backends_names_that_setting(airflows: Airflows) -> None:
    if reason := AIRFLOW_2.missing():
        parts.give_up(reason)
    with closing(airflows.new(AIRFLOW_2)) as airflow:
        airflow.start()  # makes the users
        airflow.stop()
        del airflow.env["AIRFLOW__API__AUTH_BACKENDS"]
        airflow.start()
        found = Client(airflow).failure()
        assert found.reason is Reason.DENIED
        assert "basic_auth among [api] auth_backends" in found.fix
        assert found.login_refused


@on(*MAIN)
def test_a_password_rotated_in_mid_life_is_taken_from_its_file(airflow: Airflow, secrets_seen: Secrets) -> None:
    client = Client(airflow)
    client.look()
    old = airflow.passwords["oper"]
    if airflow.flavour is SIMPLE:
        airflow.passwords["oper"] = secrets_seen.add(secrets.token_urlsafe(18))
        airflow.write_passwords()
    else:
        airflow.set_password("oper")
    refused = Client(airflow)
    refused.secrets[PASSWORD.where] = old
    assert refused.failure().login_refused
    refused.secrets[PASSWORD.where] = airflow.passwords["oper"]
    assert refused.look() == NOTHING, "at once, since the file has changed"


@on(SIMPLE, FAB)
def test_a_bearer_token_of_another_source_needs_no_password(airflow: Airflow, secrets_seen: Secrets) -> None:
    client = by_token(airflow, airflow.token("oper"))
    assert client.deliver(token(seen=secrets_seen)) == Outcome.WRITTEN
    client.secrets[TOKEN.where] = secrets_seen.add("no.token.of-this-one")
    stale = by_token(airflow, client.secrets[TOKEN.where])
    found = stale.failure()
    assert found.reason is Reason.DENIED
    assert f"refuses the token in the file {TOKEN.where}" in str(found)
    stale.secrets[TOKEN.where] = airflow.token("oper")
    assert stale.look().until is not None


def test_jwts_that_expire_or_lose_their_key_are_bought_anew(airflows: Airflows, secrets_seen: Secrets) -> None:
    airflow = airflows.new(SIMPLE, AIRFLOW__API_AUTH__JWT_EXPIRATION_TIME="1", AIRFLOW__API_AUTH__JWT_LEEWAY="0")
    try:
        airflow.start()
        client = Client(airflow)
        assert client.deliver(token(seen=secrets_seen)) == Outcome.WRITTEN
        spent = _token_in(client)
        for _ in range(2):
            _wait_until_refused(airflow, spent)
            assert client.look().until is not None
            assert _token_in(client) != spent
            spent = _token_in(client)
        airflow.stop()
        airflow.env["AIRFLOW__API_AUTH__JWT_SECRET"] = secrets_seen.add(secrets.token_urlsafe(32))
        airflow.env["AIRFLOW__API_AUTH__JWT_EXPIRATION_TIME"] = "3600"
        airflow.start()
        assert client.look().until is not None, "one new login after 403 'Invalid JWT token'"
        assert client.deliver(token(seen=secrets_seen)) == Outcome.WRITTEN
    finally:
        airflow.close()


def test_an_upgrade_from_2_to_3_under_a_client_that_knows_2(airflows: Airflows, secrets_seen: Secrets) -> None:
    """One address, first Airflow 2, then 3: the version is asked for again, and the login made in the new way."""
    two, three = airflows.running(AIRFLOW_2), airflows.running(FAB)
    for airflow in (two, three):
        airflow.delete_all_connections()
    with Forward(two.url) as front:
        client = Client(two, url=front.url)
        client.secrets[PASSWORD.where] = two.passwords["oper"]
        assert client.deliver(token(seen=secrets_seen)) == Outcome.WRITTEN
        assert two.db_connection("docker_default") is not None
        front.upstream = three.url
        client.secrets[PASSWORD.where] = three.passwords["oper"]
        assert client.look() == NOTHING
        assert client.deliver(token(seen=secrets_seen)) == Outcome.WRITTEN
        assert three.db_connection("docker_default") is not None
        front.upstream = two.url  # and a roll-back
        client.secrets[PASSWORD.where] = two.passwords["oper"]
        assert client.look().until is not None
        assert front.crashes == []


@on(SIMPLE, AIRFLOW_2)
def test_a_path_prefix_and_a_proxys_headers(airflow: Airflow, secrets_seen: Secrets) -> None:
    with Forward(airflow.url, prefix="/deployment", wants=("X-Proxy-Token", "let-me-through")) as front:
        client = Client(airflow, url=f"{front.url}/deployment", headers=(Header("X-Proxy-Token", HEADER),))
        client.secrets[HEADER.where] = secrets_seen.add("let-me-through")
        assert client.deliver(token(seen=secrets_seen)) == Outcome.WRITTEN
        without = Client(airflow, url=f"{front.url}/deployment").failure()
        assert without.reason is Reason.INVALID
        assert "with a web page (200): the login page of a proxy" in str(without)


@on(SIMPLE, AIRFLOW_2)
def test_many_threads_share_one_login_and_each_gets_its_connection(airflow: Airflow, secrets_seen: Secrets) -> None:
    client, new = Client(airflow), token(seen=secrets_seen)
    connections = [Connection(f"docker_{number}", HOST) for number in range(12)]
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda each: client.deliver(new, each), connections))
    assert set(outcomes) == {Outcome.WRITTEN}
    assert all(airflow.db_connection(each.id) is not None for each in connections)


class Forward(StandIn):
    """A proxy before Airflow: may take a path away, and shows its login page to who lacks its header."""

    def __init__(self, upstream: str, prefix: str = "", wants: tuple[str, str] | None = None) -> None:
        super().__init__()
        self.upstream, self.prefix, self.wants = upstream, prefix, wants

    def respond(self, exchange: Exchange) -> None:
        if self.wants and exchange.headers.get(self.wants[0]) != self.wants[1]:
            exchange.send(Reply(200, b"<html>Please log in</html>", "text/html"))
            return
        body = exchange.body()
        request = urllib.request.Request(
            self.upstream + exchange.path.removeprefix(self.prefix), data=body or None, method=exchange.command
        )
        for name in ("Authorization", "Content-Type", "Accept"):
            if name in exchange.headers:
                request.add_header(name, exchange.headers[name])
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                status, kind, content = answer.status, answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                status, kind, content = refused.code, refused.headers["Content-Type"], refused.read()
        exchange.send(Reply(status, content, kind))


def _token_in(client: Client) -> str:
    entry = client.sink._session._login
    assert entry is not None
    assert entry.authorization is not None
    return entry.authorization.reveal()


def _wait_until_refused(airflow: Airflow, authorization: str) -> None:
    path = "/api/v2/connections?limit=1"
    wait_until(lambda: airflow.request("GET", path, authorization=authorization)[0] == 401, 30, "the JWT's end", 0.3)
