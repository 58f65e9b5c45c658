"""What each report line changes: counts, what is held, whose life is known."""

from __future__ import annotations

from math import inf

import pytest
from msgspec import structs

from ecr_refresher.core import wire
from ecr_refresher.core.model import Outcome, Reason
from ecr_refresher.core.plan import Connection
from ecr_refresher.daemon.machine.state import RECHECK_S, ready

from .world import AIRFLOW, BOOT, DOCKER, EPOCH, HOST, LIFE, PRINCIPAL, World, failure, plan


def test_a_write_is_an_attempt_and_tells_what_is_held_from_now_on() -> None:
    world = World().loaded()
    world.say(world.delivered(AIRFLOW))
    known, tally = world.slot(AIRFLOW), world.state.tallies[AIRFLOW]
    assert (known.outcome, known.held_until, known.delivered_at) == (Outcome.WRITTEN, EPOCH + LIFE, EPOCH)
    assert (tally.attempts, tally.skipped, tally.repaired, tally.timed, tally.seconds) == (1, 0, 0, 1, 0.5)


@pytest.mark.parametrize(("outcome", "skips"), [(Outcome.SKIPPED, 1), (Outcome.UNCHANGED, 0)])
def test_what_somebody_else_wrote_or_is_there_already_is_no_attempt(outcome: Outcome, skips: int) -> None:
    world = World().loaded()
    world.say(world.delivered(AIRFLOW, outcome=outcome, token=None))
    known, tally = world.slot(AIRFLOW), world.state.tallies[AIRFLOW]
    assert (tally.attempts, tally.skipped, tally.distinct, tally.timed) == (0, skips, 0, 0)
    assert (known.outcome, known.held_until, known.delivered_at) == (outcome, EPOCH + LIFE, None)
    assert known.look_boot > world.boot + RECHECK_S  # no write of ours: no recheck after a minute


def test_a_failure_is_an_attempt_and_takes_nothing_away() -> None:
    world = World().served()
    world.wait(RECHECK_S).turn().finish(world.failed(AIRFLOW, Reason.THROTTLED))
    known, tally = world.slot(AIRFLOW), world.state.tallies[AIRFLOW]
    assert (known.outcome, known.held_until) == (Outcome.FAILED, EPOCH + LIFE)
    assert (tally.attempts, tally.failures) == (2, ((Reason.THROTTLED, 1),))
    assert ready(world.state, world.boot)


def test_a_failure_without_a_reason_is_a_fault_of_ours() -> None:
    world = World().loaded().say(wire.Delivered(*DOCKER, Outcome.FAILED))
    known = world.slot(DOCKER).failure
    assert known is not None
    assert known.reason is Reason.INTERNAL


def test_failures_are_counted_by_their_reasons() -> None:
    world = World().loaded()
    for reason in (Reason.DENIED, Reason.TRANSIENT, Reason.DENIED):
        world.say(world.failed(DOCKER, reason))
    assert dict(world.state.tallies[DOCKER].failures) == {Reason.DENIED: 2, Reason.TRANSIENT: 1}


def test_one_token_in_several_writes_is_one_distinct_token() -> None:
    world = World().served()
    assert world.state.tallies[AIRFLOW].distinct == 1
    world.ask("refresh").turn()
    world.say(world.delivered(AIRFLOW, token="2.1.x"), world.delivered(AIRFLOW, token="2.1.x", repaired=True))
    assert world.state.tallies[AIRFLOW].distinct == 2
    assert world.state.tallies[AIRFLOW].repaired == 1


def test_a_fetch_tells_the_life_of_tokens_and_forgets_the_failures_before() -> None:
    world = World().loaded()
    world.say(wire.Fetched(PRINCIPAL, 0.1, failure=failure()), wire.Fetched(PRINCIPAL, 0.1, failure=failure()))
    known = world.state.principals[PRINCIPAL]
    assert (known.tries, known.failure, known.failed_at, known.last_success_at) == (2, failure(), EPOCH, None)
    world.say(world.fetched(100.0))
    known = world.state.principals[PRINCIPAL]
    assert (known.life, known.tries, known.failure, known.retry_boot) == (100.0, 0, None, None)
    assert known.last_success_at == EPOCH
    assert (known.tally.attempts, known.tally.failures) == (3, ((Reason.TRANSIENT, 2),))
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
    assert world.slot(DOCKER).witness == "absent"
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
    before = world.slot(AIRFLOW), world.state.tallies[AIRFLOW], world.state.principals[PRINCIPAL]
    two = structs.replace(
        plan().airflows[0], connections=(Connection("docker_default", HOST), Connection("second", HOST))
    )
    world.ask("reload").turn().say(wire.Planned(structs.replace(plan(docker=False), airflows=(two,))))
    assert before == (world.slot(AIRFLOW), world.state.tallies[AIRFLOW], world.state.principals[PRINCIPAL])
    assert set(world.state.slots) == set(world.state.tallies) == {AIRFLOW, ("airflow/default/second", HOST)}
