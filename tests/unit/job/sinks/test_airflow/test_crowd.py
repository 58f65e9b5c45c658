"""An Airflow that answers late is given room before it is asked for more; a prompt one nobody waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher.core.model import NOTHING, Outcome
from ecr_refresher.job.sinks.airflow.answers import Answer
from ecr_refresher.job.sinks.airflow.crowd import PROMPT_S, SPREAD_MAX_S, Crowd, pause
from tests.testbed.standins.airflow import AirflowStandIn
from tests.testbed.standins.serving import Reply

from .conftest import DOCKER_DEFAULT, HOST, Scripted, World, credential

ROLLS = st.floats(0, 1, exclude_max=True)


@given(took_s=st.floats(0, PROMPT_S), longest_s=st.floats(0, 60), roll=ROLLS)
def test_a_prompt_answer_costs_nobody_a_pause(took_s: float, longest_s: float, roll: float) -> None:
    assert pause(took_s, longest_s, roll) == 0


@given(took_s=st.floats(0, 100), longest_s=st.floats(-5, 60), roll=ROLLS)
def test_a_pause_is_bounded_by_what_the_pass_can_spare(took_s: float, longest_s: float, roll: float) -> None:
    assert 0 <= pause(took_s, longest_s, roll) <= max(0.0, min(longest_s, SPREAD_MAX_S))


def test_a_crowd_is_spread_and_lets_the_first_rush_pass() -> None:
    pauses = [pause(0.07, 15.0, roll / 100) for roll in range(100)]
    assert min(pauses) == pytest.approx(2.0)
    assert max(pauses) == pytest.approx(9.92)
    assert pauses == sorted(set(pauses))
    assert pause(0.4, 15.0, 0.5) > pause(0.04, 15.0, 0.5)


class Server:
    """Answers so late each time."""

    def __init__(self, *answers_after_s: float) -> None:
        self.now, self.answers, self.pauses = 0.0, list(answers_after_s), list[float]()

    def ask(self) -> str:
        self.now += self.answers.pop(0)
        return f"{len(self.answers)} more"

    def crowd(self, longest_pause_s: float = 15.0) -> Crowd:
        return Crowd(lambda: self.now, self.pauses.append, lambda: 0.5, longest_pause_s)


def test_whoever_is_answered_promptly_goes_on_at_once() -> None:
    server = Server(0.01)
    assert server.crowd().make_room(server.ask) == "0 more"
    assert server.pauses == []


def test_a_slow_handshake_is_not_taken_for_a_crowd() -> None:
    server = Server(0.4, 0.01)
    assert server.crowd().make_room(server.ask) == "0 more"
    assert sum(server.pauses) == 0


def test_whoever_is_answered_late_twice_waits_once() -> None:
    server = Server(0.4, 0.4)
    server.crowd().make_room(server.ask)
    (pause_s,) = server.pauses
    assert pause_s == pytest.approx(0.6 * SPREAD_MAX_S)


def test_a_command_for_people_never_waits() -> None:
    server = Server(5.0)
    server.crowd(longest_pause_s=0.0).make_room(server.ask)
    assert server.pauses == []


def test_a_pass_waits_between_the_version_and_the_login_and_only_once(
    scripted: Callable[..., Scripted], world: World
) -> None:
    def answer(method: str, path: str) -> Reply:
        world.now += 1.0
        if path.endswith("/version"):
            return Reply.json(200, {"version": "3.3.2"})
        paused_before.append(len(world.pauses))
        if path == "/auth/token":
            return Reply.json(201, {"access_token": "a.jwt.of-its-own"})
        return Reply.json(404, {"detail": "none"})

    paused_before: list[int] = []
    server = scripted(answer)
    sink = world.sink(url=server.url)
    assert [sink.look(DOCKER_DEFAULT, HOST), sink.look(DOCKER_DEFAULT, HOST)] == [NOTHING, NOTHING]
    assert [path for _, path, _ in server.asked[:3]] == ["/api/v2/version", "/api/v2/version", "/auth/token"]
    assert paused_before == [1, 1, 1]
    assert len(world.pauses) == 1


def test_a_write_makes_room_too_and_is_left_to_whoever_was_quicker(airflow: AirflowStandIn, world: World) -> None:
    def answered_late(method: str, path: str, *rest: Any, **options: Any) -> Answer:
        world.now += 0.4
        return real(method, path, *rest, **options)

    sink = world.sink()
    sink.look(DOCKER_DEFAULT, HOST)
    assert world.pauses == []
    real = sink._transport.request
    sink._session._transport.request = answered_late  # type: ignore[method-assign]
    assert sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=lambda _: False) is Outcome.SKIPPED
    assert len(world.pauses) == 1
    assert airflow.writes == []
