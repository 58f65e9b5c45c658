"""The login: once for all threads, again when it is spent, and never tried on in vain."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ecr_refresher.core.model import Failed, Holding, Outcome, Reason, Secret
from ecr_refresher.core.plan import Connection
from ecr_refresher.job.sinks.airflow import login
from tests.testbed.processes import wait_until
from tests.testbed.standins.airflow import AirflowStandIn
from tests.testbed.standins.honest.airflow_connections import Connection as Stored
from tests.testbed.standins.script import Delay, Malformed

from .conftest import (
    DOCKER_DEFAULT,
    HOST,
    PASSWORD,
    PASSWORD_FILE,
    TOKEN_FILE,
    USER,
    WRONG_PASSWORD,
    World,
    credential,
    wanted,
)

MANY = [Connection(f"docker_{number}", HOST) for number in range(24)]
TOKEN_PATH = "/auth/token"


def test_eight_threads_share_one_login(airflow: AirflowStandIn, world: World) -> None:
    airflow.next(Delay(0.2), path=TOKEN_PATH)
    sink = world.sink()
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda each: sink.deliver(each, HOST, credential(), still_wanted=wanted), MANY))
    assert outcomes == [Outcome.WRITTEN] * len(MANY)
    assert len(airflow.attempts) == 1


def test_a_login_that_hangs_holds_no_thread_for_longer_than_its_own_deadline(
    airflow: AirflowStandIn, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "WAIT_S", 0.2)
    airflow.always(Delay(30), path=TOKEN_PATH)
    sink = world.sink(read_timeout_s=3.0)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(sink.look, DOCKER_DEFAULT, HOST)
        wait_until(lambda: airflow.paused == 1, 5, "the attempt of the first thread")
        began = time.monotonic()
        world.failure(lambda: sink.look(MANY[0], HOST), Reason.TRANSIENT, "did not finish the login within 0.2 s")
        assert time.monotonic() - began < 2.0
        world.failure(first.result, Reason.TRANSIENT, "did not answer within 3 s")


def test_a_fault_of_ours_in_the_login_reaches_every_thread_and_the_next_one_tries_again(
    airflow: AirflowStandIn, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = world.sink()
    with monkeypatch.context() as patch:
        patch.setattr(login.Session, "_log_in", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sink.look(DOCKER_DEFAULT, HOST)
    assert sink.look(DOCKER_DEFAULT, HOST) == Holding()


def test_an_expired_login_is_made_anew(airflow: AirflowStandIn, world: World) -> None:
    airflow.jwt.life_s = 0.0  # 401 Token Expired
    sink = world.sink()
    world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.DENIED, "has just granted (401)")
    airflow.jwt.life_s = 100.0
    assert sink.look(DOCKER_DEFAULT, HOST) == Holding()
    assert [attempt.granted for attempt in airflow.attempts] == [True] * 3


def test_a_changed_key_is_answered_by_one_new_login(airflow: AirflowStandIn, world: World) -> None:
    sink = world.sink()
    sink.look(DOCKER_DEFAULT, HOST)
    airflow.rotate_key()  # 403 Invalid JWT token
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda each: sink.deliver(each, HOST, credential(), still_wanted=wanted), MANY))
    assert outcomes == [Outcome.WRITTEN] * len(MANY)
    assert len(airflow.attempts) == 2


def test_a_password_rotated_in_its_file_is_read_afresh(airflow: AirflowStandIn, world: World) -> None:
    sink = world.sink()
    sink.look(DOCKER_DEFAULT, HOST)
    airflow.set_user(USER, "a newer password of the user")
    airflow.rotate_key()
    world.secrets[PASSWORD_FILE.where] = "a newer password of the user"
    assert sink.look(DOCKER_DEFAULT, HOST) == Holding()


def test_a_wrong_password_names_airflow_user_and_the_passwords_place(airflow: AirflowStandIn, world: World) -> None:
    world.secrets[PASSWORD_FILE.where] = WRONG_PASSWORD
    failure = world.failure(
        lambda: world.sink().look(DOCKER_DEFAULT, HOST),
        Reason.DENIED,
        f"Airflow 'prod' at {airflow.url} refuses the user {USER}",
        f"the file {PASSWORD_FILE.where}",
        "Correct the user ecr-refresher with the password in",
    )
    assert failure.login_refused


def test_a_wrong_password_is_one_try_whatever_the_number_of_connections(airflow: AirflowStandIn, world: World) -> None:
    world.secrets[PASSWORD_FILE.where] = WRONG_PASSWORD
    sink = world.sink()

    def refused(connection: Connection) -> bool:
        try:
            sink.look(connection, HOST)
        except Failed as error:
            return error.failure.login_refused
        return False

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(refused, MANY))
    assert len(airflow.attempts) == 1
    world.now += 3600
    assert refused(DOCKER_DEFAULT)
    assert len(airflow.attempts) == 1
    world.secrets[PASSWORD_FILE.where] = PASSWORD  # corrected: at once
    assert sink.look(DOCKER_DEFAULT, HOST) == Holding()


def test_after_a_failed_login_the_next_threads_do_not_try_at_once(airflow: AirflowStandIn, world: World) -> None:
    airflow.always(Malformed(b"{}", status=503), path=TOKEN_PATH)
    sink = world.sink()
    world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.TRANSIENT, "503")
    airflow.heal()
    world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.TRANSIENT, "503")
    world.now += 5
    assert sink.look(DOCKER_DEFAULT, HOST) == Holding()


def test_a_bearer_token_of_its_own_needs_no_login(airflow: AirflowStandIn, world: World) -> None:
    world.secrets[TOKEN_FILE.where] = airflow.jwt.issue(USER)
    sink = world.sink(token=TOKEN_FILE, username=None, password=None)
    assert sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN
    assert airflow.attempts == []


def test_a_bearer_token_rotated_in_its_file_is_read_afresh(airflow: AirflowStandIn, world: World) -> None:
    world.secrets[TOKEN_FILE.where] = airflow.jwt.issue(USER)
    sink = world.sink(token=TOKEN_FILE, username=None, password=None)
    sink.look(DOCKER_DEFAULT, HOST)
    airflow.rotate_key()
    failure = world.failure(
        lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.DENIED, f"refuses the token in the file {TOKEN_FILE.where}"
    )
    assert not failure.login_refused  # no account can be locked by it, and a new one may come at any time
    world.secrets[TOKEN_FILE.where] = airflow.jwt.issue(USER)
    assert sink.look(DOCKER_DEFAULT, HOST) == Holding()


@pytest.mark.parametrize("token", ["two\nlines of a secret", "Bearer eyJ of a secret", "süß-and-secret"])
def test_a_token_that_no_header_can_hold_is_not_quoted(world: World, token: str) -> None:
    world.secrets[TOKEN_FILE.where] = token
    sink = world.sink(token=TOKEN_FILE, username=None, password=None)
    world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.INVALID, f"the file {TOKEN_FILE.where}")


def test_no_login_at_all_where_airflow_wants_one(world: World) -> None:
    sink = world.sink(username=None, password=None)
    world.failure(
        lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.DENIED, "username and password_file, token_file, or client_id"
    )


def test_a_secret_that_is_not_there_yet_is_not_remembered(airflow: AirflowStandIn, world: World) -> None:
    sink = world.sink()
    password = world.secrets.pop(PASSWORD_FILE.where)
    world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.MISSING, PASSWORD_FILE.where)
    world.secrets[PASSWORD_FILE.where] = password
    assert sink.look(DOCKER_DEFAULT, HOST) == Holding()


@pytest.mark.parametrize("status", [404, 405])
def test_an_auth_manager_without_token_endpoint(airflow: AirflowStandIn, world: World, status: int) -> None:
    airflow.next(Malformed(b'{"detail": "Not Found"}', status), path=TOKEN_PATH)
    world.failure(lambda: world.sink().look(DOCKER_DEFAULT, HOST), Reason.INVALID, "token_file")


@pytest.mark.parametrize("body", [b"{}", b'{"access_token": ""}', b'{"access_token": 5}', b"[]", b"{"])
def test_a_login_that_gives_no_token(airflow: AirflowStandIn, world: World, body: bytes) -> None:
    airflow.next(Malformed(body, 201), path=TOKEN_PATH)
    world.failure(lambda: world.sink().look(DOCKER_DEFAULT, HOST), Reason.INVALID, "the login")


def test_the_sink_shows_no_secret(airflow: AirflowStandIn, world: World) -> None:
    sink = world.sink()
    sink.look(DOCKER_DEFAULT, HOST)
    airflow.connections["docker_default"] = Stored("docker_default", "docker")
    for part in (sink, sink._session, sink._session._login, sink._session._setback):
        assert PASSWORD not in repr(part)
        assert "eyJ" not in repr(part)
    assert isinstance(sink._session._login.authorization, Secret)  # type: ignore[union-attr]  # it has logged in
