"""Looking at connections and delivering to them, at the stand-in for Airflow 3."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from msgspec import structs

from ecr_refresher.core import budgets
from ecr_refresher.core.model import NOTHING, Holding, Outcome, Reason
from ecr_refresher.job.sinks.airflow import marker
from tests.testbed.standins.airflow import AirflowStandIn
from tests.testbed.standins.honest.airflow_connections import Connection as Stored
from tests.testbed.standins.serving import Reply

from .conftest import DOCKER_DEFAULT, ECR_TOKEN, HOST, ISSUED_AT, Scripted, World, credential, wanted

UNTIL = ISSUED_AT + 3600
USERS_OWN = Stored(
    "docker_default",
    "docker",
    description="Docker at work: ask  Ann\n",
    host=HOST,
    login="AWS",
    password="what was there before",
    schema="s",
    port=5000,
    extra='{"reauth": false, "api_key": "k"}',
)
HELD = dataclasses.replace(USERS_OWN, description=marker.write(USERS_OWN.description, HOST, UNTIL), port=None)


def unwanted(_: Holding) -> bool:
    return False


# --- look --------------------------------------------------------------------------------------------------------
def test_the_marker_tells_until_when(airflow: AirflowStandIn, world: World) -> None:
    airflow.connections["docker_default"] = HELD
    assert world.sink().look(DOCKER_DEFAULT, HOST) == Holding(UNTIL)
    assert airflow.writes == []


def test_a_connection_that_is_not_there_holds_nothing(world: World) -> None:
    assert world.sink().look(DOCKER_DEFAULT, HOST) == NOTHING


@pytest.mark.parametrize(
    "spoiled",
    [
        {"host": f"https://{HOST}"},
        {"host": f"{HOST}:443"},
        {"host": "public.ecr.aws"},
        {"host": None},
        {"login": "ann"},
        {"login": None},
        {"conn_type": "http"},
        {"password": None},
        {"description": None},
        {"description": "Docker at work"},
        {"description": marker.write(None, "public.ecr.aws", UNTIL)},
    ],
    ids=str,
)
def test_what_a_pull_could_not_use_counts_as_nothing(
    airflow: AirflowStandIn, world: World, spoiled: dict[str, str | None]
) -> None:
    airflow.connections["docker_default"] = dataclasses.replace(HELD, **spoiled)  # type: ignore[arg-type]  # by design
    assert world.sink().look(DOCKER_DEFAULT, HOST) == NOTHING


def test_a_port_of_the_users_own_is_no_reason_to_write_again_and_again(airflow: AirflowStandIn, world: World) -> None:
    airflow.connections["docker_default"] = dataclasses.replace(HELD, port=443)
    assert world.sink().look(DOCKER_DEFAULT, HOST) == Holding(UNTIL)


def test_an_id_is_quoted_in_the_path(airflow: AirflowStandIn, world: World) -> None:
    airflow.connections["a%2Fb"] = dataclasses.replace(HELD, connection_id="a%2Fb")
    assert world.sink().look(structs.replace(DOCKER_DEFAULT, id="a%2Fb"), HOST) == Holding(UNTIL)


# --- deliver -----------------------------------------------------------------------------------------------------
def test_a_connection_is_created_with_all_that_a_pull_needs(airflow: AirflowStandIn, world: World) -> None:
    sink = world.sink()
    sink.look(DOCKER_DEFAULT, HOST)
    assert sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN
    assert airflow.connections == {
        "docker_default": Stored(
            "docker_default",
            "docker",
            description=marker.write(None, HOST, credential().expires_at),
            host=HOST,
            login="AWS",
            password=ECR_TOKEN,
        )
    }
    assert sink.look(DOCKER_DEFAULT, HOST) == Holding(credential().expires_at)


def test_an_update_is_one_patch_that_leaves_the_users_own_fields(airflow: AirflowStandIn, world: World) -> None:
    airflow.connections["docker_default"] = USERS_OWN
    sink = world.sink()
    for renewal in range(3):
        sink.look(DOCKER_DEFAULT, HOST)
        new = credential(f"{ECR_TOKEN}{renewal}", life=1000.0 * (renewal + 1))
        assert sink.deliver(DOCKER_DEFAULT, HOST, new, still_wanted=wanted) is Outcome.WRITTEN
        assert airflow.connections["docker_default"] == dataclasses.replace(
            USERS_OWN,
            description=f"{USERS_OWN.description} {marker.write(None, HOST, new.expires_at)}",
            password=f"{ECR_TOKEN}{renewal}",
        )
    assert [write.method for write in airflow.writes] == ["PATCH"] * 3


def test_a_spoiled_connection_is_repaired(airflow: AirflowStandIn, world: World) -> None:
    airflow.connections["docker_default"] = Stored("docker_default", "http", host="https://elsewhere", login="ann")
    sink = world.sink()
    sink.look(DOCKER_DEFAULT, HOST)
    sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted)
    assert sink.look(DOCKER_DEFAULT, HOST) == Holding(credential().expires_at)


def test_team_name_goes_only_where_the_connection_is_created(airflow: AirflowStandIn, world: World) -> None:
    connection = structs.replace(DOCKER_DEFAULT, team_name="data")
    sink = world.sink()
    sink.deliver(connection, HOST, credential(), still_wanted=wanted)
    assert airflow.connections["docker_default"].team_name == "data"
    airflow.connections["docker_default"] = dataclasses.replace(USERS_OWN, team_name="other")
    sink.deliver(connection, HOST, credential(), still_wanted=wanted)
    assert airflow.connections["docker_default"].team_name == "other"


def test_create_false_creates_nothing_and_names_the_fix(airflow: AirflowStandIn, world: World) -> None:
    connection = structs.replace(DOCKER_DEFAULT, create=False)
    sink = world.sink()
    for act in (
        lambda: sink.look(connection, HOST),  # before a token is fetched for it
        lambda: sink.deliver(connection, HOST, credential(), still_wanted=wanted),
    ):
        world.failure(
            act, Reason.MISSING, f"Airflow 'prod' at {airflow.url} has no connection docker_default", "create: true"
        )
    assert airflow.connections == {}
    airflow.connections["docker_default"] = USERS_OWN
    sink.look(connection, HOST)
    assert sink.deliver(connection, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN


# --- look again --------------------------------------------------------------------------------------------------
def test_a_fresh_look_is_ground_enough_for_a_write(airflow: AirflowStandIn, world: World) -> None:
    airflow.connections["docker_default"] = USERS_OWN
    sink = world.sink()
    sink.look(DOCKER_DEFAULT, HOST)
    world.now += 1.0
    assert sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=unwanted) is Outcome.WRITTEN
    assert len(airflow.reads) == 1


def test_after_more_than_a_second_it_looks_again_and_asks(airflow: AirflowStandIn, world: World) -> None:
    airflow.connections["docker_default"] = USERS_OWN
    sink = world.sink()
    sink.look(DOCKER_DEFAULT, HOST)
    world.now += 1.01
    airflow.connections["docker_default"] = HELD
    seen: list[Holding] = []

    def ask(holding: Holding) -> bool:
        seen.append(holding)
        return False

    assert sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=ask) is Outcome.SKIPPED
    assert seen == [Holding(UNTIL)]
    assert airflow.writes == []


@pytest.mark.parametrize(("later_s", "looks"), [(6.0, 1), (6.1, 2)])
def test_a_slow_look_holds_as_long_as_it_took(
    scripted: Callable[..., Scripted], world: World, later_s: float, looks: int
) -> None:
    def answer(method: str, path: str) -> Reply:
        if path.endswith("/version"):
            world.now += 60.0  # what is no look does not count
            return Reply.json(200, {"version": "3.3.2"})
        if path == "/auth/token":
            return Reply.json(201, {"access_token": "a.jwt.of-its-own"})
        world.now += 6.0 if method == "GET" else 0.0
        return Reply.json(200, {"description": None})

    server = scripted(answer)
    sink = world.sink(url=server.url)
    sink.look(DOCKER_DEFAULT, HOST)
    world.now += later_s
    assert sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN
    assert [method for method, path, _ in server.asked if "connections" in path] == ["GET"] * looks + ["PATCH"]


def test_a_late_write_carries_the_description_as_it_is_now(airflow: AirflowStandIn, world: World) -> None:
    airflow.connections["docker_default"] = USERS_OWN
    sink = world.sink()
    sink.look(DOCKER_DEFAULT, HOST)
    world.now += 60
    airflow.connections["docker_default"] = dataclasses.replace(USERS_OWN, description="ask Bob now")
    assert sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN
    assert marker.strip(airflow.connections["docker_default"].description) == "ask Bob now"


def test_a_long_description_is_not_kept_but_read_again_for_the_write(airflow: AirflowStandIn, world: World) -> None:
    text = "x" * (budgets.AIRFLOW_DESCRIPTION_KEPT + 1)
    airflow.connections["docker_default"] = dataclasses.replace(USERS_OWN, description=text)
    sink = world.sink()
    sink.look(DOCKER_DEFAULT, HOST)
    assert sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN
    assert len(airflow.reads) == 2
    assert marker.strip(airflow.connections["docker_default"].description) == text


def test_without_a_look_it_looks_first(airflow: AirflowStandIn, world: World) -> None:
    airflow.connections["docker_default"] = HELD
    assert world.sink().deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=unwanted) is Outcome.SKIPPED


@pytest.mark.parametrize(("still", "outcome"), [(wanted, Outcome.WRITTEN), (unwanted, Outcome.SKIPPED)])
def test_one_that_appears_before_our_creation_is_looked_at_and_patched_if_still_wanted(
    airflow: AirflowStandIn, world: World, still: object, outcome: Outcome
) -> None:
    def somebody_else(method: str, connection_id: str) -> None:
        if method == "POST":
            airflow.connections[connection_id] = HELD

    sink = world.sink()
    sink.look(DOCKER_DEFAULT, HOST)
    airflow.meanwhile = somebody_else
    assert sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=still) is outcome  # type: ignore[arg-type]
    assert [write.method for write in airflow.writes] == (["PATCH"] if outcome is Outcome.WRITTEN else [])
    assert marker.strip(airflow.connections["docker_default"].description) == USERS_OWN.description


def test_one_that_vanishes_before_our_update_is_created(airflow: AirflowStandIn, world: World) -> None:
    def somebody_else(method: str, connection_id: str) -> None:
        if method == "PATCH":
            del airflow.connections[connection_id]

    airflow.connections["docker_default"] = USERS_OWN
    sink = world.sink()
    sink.look(DOCKER_DEFAULT, HOST)
    airflow.meanwhile = somebody_else
    assert sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN
    assert [write.method for write in airflow.writes] == ["POST"]


def test_one_that_comes_and_goes_all_the_time_is_left_for_the_next_pass(airflow: AirflowStandIn, world: World) -> None:
    def somebody_else(method: str, connection_id: str) -> None:
        if method == "POST":
            airflow.connections[connection_id] = USERS_OWN
        else:
            del airflow.connections[connection_id]

    airflow.meanwhile = somebody_else
    world.failure(
        lambda: world.sink().deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted),
        Reason.TRANSIENT,
        "docker_default comes and goes",
    )
    assert airflow.writes == []
