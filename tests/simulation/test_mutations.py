"""Can the simulation fail? Each deliberate breakage of the product must be called out within a few seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

import pytest
from msgspec import structs

from ecr_refresher.core import decide, schedule, wire
from ecr_refresher.core.decide import Need
from ecr_refresher.core.model import Failed, Failure, Holding
from ecr_refresher.core.plan import Refresh, Slot
from ecr_refresher.daemon.machine import bookings, step
from ecr_refresher.daemon.machine.events import Reported
from ecr_refresher.daemon.machine.state import SlotState, State
from ecr_refresher.job.refresh.refresh_pass import RefreshPass

from .scenario import Broken, Scenario, deadly_settings, small, wrong_password

SEEDS = 400
Patch = pytest.MonkeyPatch
needed, paused, looks_again, delivered, failed, turned = (
    decide.need,
    schedule.retry_pause,
    bookings._look_again,
    bookings._delivered,
    bookings.failed,
    step._turned,
)
booked, is_ready = bookings.book, State.ready


def quarter_rule_off(patch: Patch) -> None:
    patch.setattr(schedule, "retry_pause", lambda why, tries, _left, rules, roll: paused(why, tries, 0.0, rules, roll))


def retries_never(patch: Patch) -> None:
    patch.setattr(schedule, "retry_pause", lambda *_: 1e9)


def retries_without_pause(patch: Patch) -> None:
    patch.setattr(schedule, "retry_pause", lambda *_: 1.0)


def lockout_ignored(patch: Patch) -> None:
    def pause(why: Failure, *rest: Any) -> float:
        return paused(structs.replace(why, login_refused=False), *rest)

    patch.setattr(schedule, "retry_pause", pause)


def siblings_not_held_back(patch: Patch) -> None:
    def failing(known: State, *rest: Any) -> None:
        failed(known, *rest)
        known.held_back.clear()

    patch.setattr(bookings, "failed", failing)


def believes_everything(patch: Patch) -> None:
    patch.setattr(decide, "believed", lambda holding, *_: holding.until is not None)


def believes_nothing(patch: Patch) -> None:
    patch.setattr(decide, "believed", lambda holding, *_: holding.own_record)


def skip_rule_off(patch: Patch) -> None:
    def need(holding: Holding, order: wire.Order, *rest: Any, **options: Any) -> Need:
        found = needed(holding, order, *rest, **options)
        return Need.DUE if found is Need.NONE and order.expected_until is None else found

    patch.setattr(decide, "need", need)


def worse_is_never_seen(patch: Patch) -> None:
    patch.setattr(decide, "is_worse", lambda *_: False)


def renews_at_the_last_moment(patch: Patch) -> None:
    patch.setattr(schedule, "renewal_at", lambda _issued, expires, _rules, _roll: expires - 1.0)


def renews_far_too_early(patch: Patch) -> None:
    patch.setattr(schedule, "renewal_at", lambda issued, expires, *_: issued + (expires - issued) / 4)


def recheck_off(patch: Patch) -> None:
    patch.setattr(bookings, "RECHECK_S", 1e9)


def verification_off(patch: Patch) -> None:
    def look_again(*args: Any, written: bool) -> float:
        return looks_again(*args, written=written) if written else inf

    patch.setattr(bookings, "_look_again", look_again)


def files_not_watched(patch: Patch) -> None:
    patch.setattr(step, "_seen_files", lambda known, *_: known)


def repair_limit_off(patch: Patch) -> None:
    patch.setattr(bookings, "REPAIR_EVERY_S", 0.0)


def held_until_not_updated(patch: Patch) -> None:
    def delivering(known: State, slot: Slot, *rest: Any) -> None:
        held_until = known.slots[slot.id].held_until
        delivered(known, slot, *rest)
        known.slots[slot.id] = replace(known.slots[slot.id], held_until=held_until)

    patch.setattr(bookings, "_delivered", delivering)


def readiness_latched(patch: Patch) -> None:
    def latched(known: State, now: float) -> bool:
        return bool(known.was_ready) or is_ready(known, now)

    patch.setattr(State, "ready", latched)


def wall_clock_believed(patch: Patch) -> None:
    def turning(known: State, turn: Any, now: float) -> Any:
        return turned(replace(known, offset_measured=False), turn, now)

    patch.setattr(step, "_turned", turning)


def lines_of_any_worker_believed(patch: Patch) -> None:
    def book(known: State, reported: Reported, now: float) -> Any:
        return booked(known, replace(reported, job=known.running.job.id) if known.running else reported, now)

    patch.setattr(bookings, "book", book)


def dead_reloads_come_first(patch: Patch) -> None:
    def next_pass(known: State, now: float) -> Any:
        if known.load_tries:
            known = replace(known, load_tries=0, load_boot=now, last_reload_ok=True)
        return begin(known, now)

    begin = step._next_pass
    patch.setattr(step, "_next_pass", next_pass)


def one_slot_s_fault_ends_the_pass(patch: Patch) -> None:
    async def guarded(self: RefreshPass, slot: Slot, order: wire.Order) -> None:
        try:
            await serve(self, slot, order)
        except Failed as error:
            self._last_words.failed(slot, error.failure, 0.0)

    async def serve(self: RefreshPass, slot: Slot, order: wire.Order) -> None:
        await self._serve(slot, order, 0.0)

    patch.setattr(RefreshPass, "_guarded", guarded)


def hung_passes_not_killed(patch: Patch) -> None:
    patch.setattr(schedule, "pass_limit", lambda _rules, _lives: 1e7)


def what_others_write_shortens_passes(patch: Patch) -> None:
    patch.setattr(SlotState, "sure_until", property(lambda known: known.held_until))


MUTATIONS: list[Callable[[Patch], None]] = [
    quarter_rule_off,
    retries_never,
    retries_without_pause,
    lockout_ignored,
    siblings_not_held_back,
    believes_everything,
    believes_nothing,
    skip_rule_off,
    worse_is_never_seen,
    renews_at_the_last_moment,
    renews_far_too_early,
    recheck_off,
    verification_off,
    files_not_watched,
    repair_limit_off,
    held_until_not_updated,
    readiness_latched,
    wall_clock_believed,
    lines_of_any_worker_believed,
    hung_passes_not_killed,
    what_others_write_shortens_passes,
    dead_reloads_come_first,
    one_slot_s_fault_ends_the_pass,
]


WORLDS = {"siblings_not_held_back": wrong_password, "dead_reloads_come_first": deadly_settings}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: str(mutation.__name__))
def test_each_breakage_is_called_out(mutation: Callable[[Patch], None], monkeypatch: Patch) -> None:
    mutation(monkeypatch)
    world = WORLDS.get(mutation.__name__, small)
    broken = next(filter(None, (first_breach(world(seed)) for seed in range(SEEDS))), None)
    assert broken is not None
    assert "the simulation itself" not in broken
    print(f"{mutation.__name__}: {broken.splitlines()[0]}")


def first_breach(scenario: Scenario) -> str | None:
    try:
        scenario.run()
    except Broken as broken:
        return str(broken)
    return None


def test_the_rules_that_are_broken_here_are_the_ones_in_force() -> None:
    """A patched name that nobody calls any more would prove nothing: each of them is called in a run."""
    assert Refresh().at_fraction == 0.667
    small(3).run()
