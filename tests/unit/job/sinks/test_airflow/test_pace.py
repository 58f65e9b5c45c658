"""Requests that wait for their turn, and a server that asks to be left alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate

import pytest

from ecr_refresher.core.model import NOTHING, Failed, Reason
from ecr_refresher.core.plan import Connection
from ecr_refresher.job.sinks.airflow.pace import PATIENCE_S, Pace
from tests.testbed.standins.serving import Reply

from .conftest import DOCKER_DEFAULT, HOST, Scripted, World, credential, wanted

VERSION = Reply.json(200, {"version": "3.3.2"})
TOKEN = Reply.json(201, {"access_token": "a.jwt.of-its-own"})
Start = Callable[..., Scripted]


class Clock:
    """Sleeping moves it; nothing else does."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def pace(self, every_s: float = 0.0) -> Pace:
        return Pace(every_s, lambda: self.now, self.sleep)


def test_without_a_pace_nobody_waits() -> None:
    clock = Clock()
    pace = clock.pace()
    for _ in range(3):
        pace.wait("Airflow")
    assert clock.slept == []


def test_each_request_gets_a_turn_of_its_own() -> None:
    clock = Clock()
    pace = clock.pace(0.125)
    for _ in range(4):  # as four threads at once
        pace.wait("Airflow")
    assert clock.slept == [0.125, 0.25, 0.375]
    clock.now = 10.0
    pace.wait("Airflow")
    assert len(clock.slept) == 3, "turns are not saved up, and none is owed"


def test_a_short_rest_is_waited_for_and_a_long_one_fails_at_once() -> None:
    clock = Clock()
    pace = clock.pace()
    pace.rest(PATIENCE_S, Reason.THROTTLED)
    pace.wait("Airflow")
    assert clock.slept == [PATIENCE_S]
    pace.rest(30.0, Reason.TRANSIENT)
    clock.now = 10.0
    with pytest.raises(Failed) as caught:
        pace.wait("Airflow 'prod'")
    failure = caught.value.failure
    assert (failure.reason, failure.retry_after_s) == (Reason.TRANSIENT, 20.0)
    assert failure.message == "Airflow 'prod' has asked for no more requests for 20 s"
    clock.now = 31.0
    pace.wait("Airflow")


def test_a_shorter_rest_never_ends_a_longer_one() -> None:
    clock = Clock()
    pace = clock.pace()
    pace.rest(4.0, Reason.THROTTLED)
    pace.rest(1.0, Reason.THROTTLED)
    pace.wait("Airflow")
    assert clock.slept == [4.0]


def limited(status: int, **headers: str) -> Callable[[str, str], Reply]:
    """An Airflow 3 that lets nobody look."""

    def answer(method: str, path: str) -> Reply:
        if path.endswith("/version"):
            return VERSION
        return TOKEN if path == "/auth/token" else Reply(status, b"{}", headers=headers)

    return answer


@pytest.mark.parametrize(("status", "reason"), [(429, Reason.THROTTLED), (503, Reason.TRANSIENT)])
@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": formatdate(time.time() + 3600, usegmt=True)}, 3600.0),
        ({"Retry-After": formatdate(1_000_000_000, usegmt=True)}, 0.0),  # over
        ({"Retry-After": "9" * 400}, 86_400.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({}, None),
    ],
    ids=["seconds", "date", "date-past", "far-too-many", "words", "negative", "none"],
)
def test_retry_after_reaches_the_schedule_as_seconds_or_as_a_date(
    scripted: Start, world: World, status: int, reason: Reason, headers: dict[str, str], after: float | None
) -> None:
    server = scripted(limited(status, **headers))
    failure = world.failure(lambda: world.sink(url=server.url).look(DOCKER_DEFAULT, HOST), reason, str(status))
    assert failure.retry_after_s == (after if after is None else pytest.approx(after, abs=600))  # the tests' own time


def test_an_airflow_that_asks_for_a_long_rest_is_left_alone_by_the_whole_pass(scripted: Start, world: World) -> None:
    server = scripted(limited(429, **{"Retry-After": "60"}))
    sink = world.sink(url=server.url)
    world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.THROTTLED, "429")
    asked = len(server.asked)
    for number in range(5):
        other = Connection(f"docker_{number}", HOST)
        failure = world.failure(lambda: sink.look(other, HOST), Reason.THROTTLED, "no more requests")  # noqa: B023
        assert failure.retry_after_s == pytest.approx(60, abs=5)
    assert len(server.asked) == asked


def test_after_a_short_rest_the_pass_goes_on(scripted: Start, world: World) -> None:
    refusals = [Reply(429, b"{}", headers={"Retry-After": "1"})]

    def answer(method: str, path: str) -> Reply:
        if path.endswith("/version"):
            return VERSION
        if path == "/auth/token":
            return TOKEN
        return refusals.pop() if refusals else Reply.json(404, {"detail": "none"})

    sink = world.sink(url=scripted(answer).url)
    world.failure(lambda: sink.look(DOCKER_DEFAULT, HOST), Reason.THROTTLED)
    assert sink.look(DOCKER_DEFAULT, HOST) == NOTHING


def test_a_throttled_login_names_itself_and_its_pause(scripted: Start, world: World) -> None:
    def answer(method: str, path: str) -> Reply:
        return VERSION if path.endswith("/version") else Reply(429, b"{}", headers={"Retry-After": "30"})

    sink = world.sink(url=scripted(answer).url)
    failure = world.failure(
        lambda: sink.deliver(DOCKER_DEFAULT, HOST, credential(), still_wanted=wanted), Reason.THROTTLED, "the login"
    )
    assert failure.retry_after_s == 30
    assert not failure.login_refused
