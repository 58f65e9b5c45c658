"""What each report line changes: counts, what is held, whose life is known."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from math import inf
from typing import Any

import pytest
from msgspec import structs

from ecr_refresher.core import wire
from ecr_refresher.core.model import Outcome, Reason
from ecr_refresher.core.plan import Connection
from ecr_refresher.daemon.machine.state import RECHECK_S

from .world import AIRFLOW, BOOT, CONFIG, DOCKER, EPOCH, HOST, LIFE, PRINCIPAL, World, failure, plan


def test_a_write_is_an_attempt_and_tells_what_is_held_from_now_on() -> None:
    world = World().loaded()
    world.say(world.delivered(AIRFLOW))
    known, tally = world.slot(AIRFLOW), world.slot(AIRFLOW).tally
    assert (known.outcome, known.held_until, known.delivered_at) == (Outcome.WRITTEN, EPOCH + LIFE, EPOCH)
    assert (tally.attempts, tally.skipped, tally.repaired, tally.seconds) == (1, 0, 0, 0.5)


@pytest.mark.parametrize(("outcome", "skips"), [(Outcome.SKIPPED, 1), (Outcome.UNCHANGED, 0)])
def test_what_somebody_else_wrote_or_is_there_already_is_no_attempt(outcome: Outcome, skips: int) -> None:
    world = World().loaded()
    world.say(world.delivered(AIRFLOW, outcome=outcome, token=None))
    known, tally = world.slot(AIRFLOW), world.slot(AIRFLOW).tally
    assert (tally.attempts, tally.skipped, tally.distinct, tally.seconds) == (0, skips, 0, 0.0)
    assert (known.outcome, known.held_until, known.delivered_at) == (outcome, EPOCH + LIFE, None)
    assert known.look_boot > world.boot + RECHECK_S  # no write of ours: no recheck after a minute


def test_a_failure_is_an_attempt_and_takes_nothing_away() -> None:
    world = World().served()
    world.wait(RECHECK_S).turn().finish(world.failed(AIRFLOW, Reason.THROTTLED))
    known, tally = world.slot(AIRFLOW), world.slot(AIRFLOW).tally
    assert (known.outcome, known.held_until) == (Outcome.FAILED, EPOCH + LIFE)
    assert (tally.attempts, tally.failures) == (2, {Reason.THROTTLED: 1})
    assert world.state.ready(world.boot)


def test_a_failure_without_a_reason_is_a_fault_of_ours() -> None:
    world = World().loaded().say(wire.Delivered(*DOCKER, Outcome.FAILED))
    known = world.slot(DOCKER).failure
    assert known is not None
    assert known.reason is Reason.INTERNAL


def test_failures_are_counted_by_their_reasons() -> None:
    world = World().loaded()
    for reason in (Reason.DENIED, Reason.TRANSIENT, Reason.DENIED):
        world.say(world.failed(DOCKER, reason))
    assert dict(world.slot(DOCKER).tally.failures) == {Reason.DENIED: 2, Reason.TRANSIENT: 1}


def test_one_token_in_several_writes_is_one_distinct_token() -> None:
    world = World().served()
    assert world.slot(AIRFLOW).tally.distinct == 1
    world.ask("refresh").turn()
    world.say(world.delivered(AIRFLOW, token="2.1.x"), world.delivered(AIRFLOW, token="2.1.x", repaired=True))
    assert world.slot(AIRFLOW).tally.distinct == 2
    assert world.slot(AIRFLOW).tally.repaired == 1


def test_a_fetch_tells_the_life_of_tokens_and_forgets_the_failures_before() -> None:
    world = World().loaded()
    world.say(wire.Fetched(PRINCIPAL, 0.1, failure=failure()), wire.Fetched(PRINCIPAL, 0.1, failure=failure()))
    known = world.state.principals[PRINCIPAL]
    assert (known.tries, known.failure, known.failed_at, known.last_success_at) == (2, failure(), EPOCH, None)
    world.say(world.fetched(100.0))
    known = world.state.principals[PRINCIPAL]
    assert (known.life, known.tries, known.failure, known.retry_boot) == (100.0, 0, None, None)
    assert known.last_success_at == EPOCH
    assert (known.tally.attempts, known.tally.failures) == (3, {Reason.TRANSIENT: 2})
    assert known.tally.seconds == pytest.approx(0.45)


def test_a_failed_fetch_keeps_what_is_known_of_the_last_token() -> None:
    world = World().served()
    world.ask("refresh").turn().say(wire.Fetched(PRINCIPAL, 0.1, failure=failure()))
    known = world.state.principals[PRINCIPAL]
    assert (known.life, known.expires_at, known.last_success_at) == (LIFE, EPOCH + LIFE, EPOCH)


def test_a_look_that_finds_nothing_is_not_the_last_word_on_a_slot() -> None:
    world = World().loaded()
    world.say(wire.Looked(*DOCKER, until=None, needed=True, why="nothing usable there", witness="absent"))
    assert world.slot(DOCKER).held_until == 0.0
    assert world.state.files[CONFIG] == "absent"
    assert world.state.running is not None
    assert DOCKER in world.state.running.open


def test_a_look_that_finds_it_fresh_is() -> None:
    world = World().loaded()
    world.say(wire.Looked(*DOCKER, until=EPOCH + 900.0, life=1000.0, why="fresh", witness="w"))
    known = world.slot(DOCKER)
    assert (known.held_until, known.expected_until, known.life, known.look_boot) == (
        EPOCH + 900.0,
        EPOCH + 900.0,
        1000.0,
        inf,
    )
    assert world.state.running is not None
    assert world.state.running.open == {AIRFLOW}


@pytest.mark.parametrize(("measured", "life"), [(True, 40_000.0), (False, 1000.0)])
def test_what_is_left_of_another_daemons_token_tells_its_life_only_by_aws_s_own_time(
    measured: bool, life: float
) -> None:
    """With a clock that is behind, everything seems to live longer, and would be renewed too early."""
    world = World().loaded()
    if measured:
        world.say(wire.Clock(EPOCH - BOOT, 0.0))
    world.say(wire.Looked(*AIRFLOW, until=EPOCH + 40_000.0, life=1000.0, why="fresh"))
    assert world.slot(AIRFLOW).life == life


def test_a_proof_that_raises_a_doubt_is_counted_and_blocks_nothing() -> None:
    world = World().loaded()
    world.say(
        wire.Proved(HOST, "registry"),
        wire.Proved(HOST, "engine", failure(Reason.DENIED)),
        wire.Proved(HOST, "engine", failure(Reason.TRANSIENT)),
    )
    assert world.state.proof_failures == {(HOST, "engine"): 2}
    assert world.slot(DOCKER).failure is None


def test_the_clock_of_aws_is_taken_over() -> None:
    world = World().turn().say(wire.Clock(12.5, 3.25))
    assert (world.state.offset, world.state.skew, world.state.offset_measured) == (12.5, 3.25, True)


def test_slots_that_a_new_plan_keeps_keep_what_is_known_of_them() -> None:
    world = World().served()
    before = world.slot(AIRFLOW), world.state.principals[PRINCIPAL]
    two = structs.replace(
        plan().airflows[0], connections=(Connection("docker_default", HOST), Connection("second", HOST))
    )
    world.ask("reload").turn().say(wire.Planned(structs.replace(plan(docker=False), airflows=(two,))))
    assert before == (world.slot(AIRFLOW), world.state.principals[PRINCIPAL])
    assert set(world.state.slots) == {AIRFLOW, ("airflow/default/second", HOST)}


# --- a thousand slots ------------------------------------------------------------------------------------------------
class Counted(dict[Any, Any]):
    """A map that counts how often it, or a copy of it, is gone through from end to end."""

    times: list[int]

    def copy(self) -> Counted:
        copied = Counted(self.items())
        copied.times = self.times
        return copied

    def __iter__(self) -> Iterator[Any]:
        self.times.append(len(self))
        return super().__iter__()

    def keys(self) -> Any:
        self.times.append(len(self))
        return super().keys()

    def values(self) -> Any:
        self.times.append(len(self))
        return super().values()

    def items(self) -> Any:
        self.times.append(len(self))
        return super().items()


def many(slots: int) -> tuple[World, list[tuple[str, str]]]:
    """A pass over so many connections of one Airflow, with everything looked at."""
    ids = tuple(Connection(f"docker_{number}", HOST) for number in range(slots))
    world = World().loaded(
        structs.replace(plan(docker=False), airflows=(structs.replace(plan().airflows[0], connections=ids),))
    )
    return world, list(world.state.slots)


def calls_of(world: World, lines: list[wire.Line]) -> int:
    """How many Python functions are called to book the lines in one go."""
    calls = 0

    def count(_frame: Any, what: str, _arg: object) -> None:
        nonlocal calls
        calls += what in ("call", "c_call")

    sys.setprofile(count)
    try:
        world.say(*lines)
    finally:
        sys.setprofile(None)
    return calls


KINDS = ["written", "found", "failed", "refused", "not fetched"]


def lines_for(world: World, slot_ids: list[tuple[str, str]], kind: str) -> list[wire.Line]:
    def line(sink: str, registry: str) -> wire.Line:
        match kind:
            case "written":
                return world.delivered((sink, registry))
            case "found":
                return wire.Looked(sink, registry, until=EPOCH + LIFE, life=LIFE, why="fresh")
            case "not fetched":
                return wire.Delivered(sink, registry, Outcome.FAILED, failure=failure(), attempted=False)
            case _:
                return world.failed((sink, registry), Reason.DENIED, login_refused=kind == "refused")

    return [line(*slot_id) for slot_id in slot_ids]


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_lines_copies_each_map_once(kind: str) -> None:
    world, slot_ids = many(1000)
    times: list[int] = []
    for name in ("slots", "principals"):
        counted = Counted(getattr(world.state, name))
        counted.times = times
        world.state = replace(world.state, **{name: counted})  # type: ignore[arg-type]
    world.say(*lines_for(world, slot_ids, kind))
    assert len([size for size in times if size == 1000]) <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_work_for_a_line_does_not_grow_with_the_number_of_slots(kind: str) -> None:
    few, many_more = many(100), many(1000)
    per_line = [calls_of(world, lines_for(world, ids, kind)) / len(ids) for world, ids in (few, many_more)]
    assert per_line[1] <= per_line[0] * 1.1


def test_a_step_leaves_the_state_before_as_it_was() -> None:
    world, slot_ids = many(3)
    before, copied = world.state, world.state.copy()
    world.say(*lines_for(world, slot_ids, "written"), wire.Fetched(PRINCIPAL, 0.1, failure=failure()), wire.Done())
    assert before == copied
    assert world.state != before
