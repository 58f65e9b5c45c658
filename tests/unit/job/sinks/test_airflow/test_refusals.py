"""What Airflow itself refuses: the reason, the words, and nothing of the body."""

from __future__ import annotations

import pytest
from msgspec import structs

from ecr_refresher.core.model import Outcome, Reason
from tests.testbed.standins.airflow import AirflowStandIn
from tests.testbed.standins.airflow_faults import Unprocessable
from tests.testbed.standins.honest.airflow_connections import Connection as Stored
from tests.testbed.standins.script import Malformed

from .conftest import DOCKER_DEFAULT, ECR_TOKEN, HOST, PASSWORD, USER, World, credential, wanted

USERS_OWN = Stored("docker_default", "docker", host=HOST, login="AWS", password="what was there before")


def test_without_the_right_to_edit_the_three_permissions_are_named(airflow: AirflowStandIn, world: World) -> None:
    airflow.connections["docker_default"] = USERS_OWN
    airflow.set_user(USER, PASSWORD, read_only=True)
    sink = world.sink()
    sink.look(DOCKER_DEFAULT, HOST)
    failure = world.failure(
        lambda: sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted),
        Reason.DENIED,
        "can_read, can_create and can_edit on Connections",
        "role op",
        "docker_default",
    )
    assert not failure.login_refused
    assert len(airflow.attempts) == 1


def test_a_422_that_echoes_the_password_leaks_nothing(airflow: AirflowStandIn, world: World) -> None:
    airflow.next(Unprocessable(), method="POST", path="/api/v2/connections")
    world.failure(
        lambda: world.sink().deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted),
        Reason.INVALID,
        "answered 422 to POST of the connection docker_default",
    )


def test_a_422_names_the_field(airflow: AirflowStandIn, world: World) -> None:
    connection = structs.replace(DOCKER_DEFAULT, id="no blanks allowed")
    world.failure(
        lambda: world.sink().deliver(connection, HOST, credential(), still_wanted=wanted),
        Reason.INVALID,
        "it refuses connection_id",
    )


@pytest.mark.parametrize(
    ("status", "reason"),
    [(429, Reason.THROTTLED), (500, Reason.TRANSIENT), (503, Reason.TRANSIENT), (400, Reason.INVALID)],
)
def test_statuses_have_their_reasons(airflow: AirflowStandIn, world: World, status: int, reason: Reason) -> None:
    airflow.connections["docker_default"] = USERS_OWN
    body = f'{{"detail": "{ECR_TOKEN}"}}'.encode()
    airflow.next(Malformed(body, status), method="PATCH")
    deliver = world.sink().deliver
    world.failure(
        lambda: deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted), reason, str(status), "docker_default"
    )
    assert len(airflow.writes) == 0
    assert deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN


@pytest.mark.parametrize("body", [b"[]", b'"text"', b'{"description": 5}', b"{", b""])
def test_a_look_at_something_that_is_no_connection(airflow: AirflowStandIn, world: World, body: bytes) -> None:
    airflow.next(Malformed(body), method="GET", path="/api/v2/connections/docker_default")
    world.failure(lambda: world.sink().look(DOCKER_DEFAULT, HOST), Reason.INVALID, "docker_default")


def test_a_403_on_a_teams_connection_names_the_team(airflow: AirflowStandIn, world: World) -> None:
    connection = structs.replace(DOCKER_DEFAULT, team_name="data")
    airflow.connections["docker_default"] = USERS_OWN
    airflow.set_user(USER, PASSWORD, read_only=True)
    deliver = world.sink().deliver
    for _ in ("PATCH", "POST"):
        failure = world.failure(
            lambda: deliver(connection, HOST, credential(), still_wanted=wanted), Reason.DENIED, "in the team data"
        )
        assert failure.fix.endswith("in the team data")
        airflow.connections.clear()


def test_what_an_airflow_says_of_a_connection_can_move_no_cursor(airflow: AirflowStandIn, world: World) -> None:
    airflow.connections["docker_default"] = Stored("docker_default", "docker", host="\x1b[2Kok\nok", login="a\u202eb")
    shape = world.sink().inspect(DOCKER_DEFAULT, HOST)
    assert shape is not None
    assert (shape.host, shape.login) == ("\\x1b[2Kok\\nok", "a\\u202eb")
