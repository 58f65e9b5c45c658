"""What is due, and when: of a slot, of the next pass, of the loop. Pure."""

import zlib
from math import inf
from typing import Literal

from ...core import schedule, wire
from ...core.plan import Slot
from .state import REPAIR_EVERY_S, TOGETHER_S, TURN_MAX_S, Pass, State

Next = Literal["retry", "renewal", "look"]


def draw(state: State, *purpose: object) -> float:
    """A number in [0, 1), always the same for this daemon and purpose."""
    return zlib.crc32(repr((state.seed, *purpose)).encode()) / 2**32


def life_of(state: State, slot: Slot) -> float:
    """The life of the slot's tokens, as far as known; else that of ECR's tokens today."""
    return state.slots[slot.id].life or state.principals[slot.principal].life or schedule.DEFAULT_LIFE_S


def renew_at(state: State, slot: Slot) -> float | None:
    """When the slot's credential is due for renewal; slots that hold the same one share the draw."""
    until = state.slots[slot.id].expected_until
    if until is None:
        return None
    life = life_of(state, slot)
    return schedule.renewal_at(until - life, until, state.plan.refresh, draw(state, slot.principal, int(until)))


def slot_next(state: State, slot: Slot) -> tuple[Next, float]:
    """What comes next for a slot, and when on the boot clock."""
    known = state.slots[slot.id]
    if known.retry_boot is not None:
        step: tuple[Next, float] = "retry", known.retry_boot
    else:
        renewal = renew_at(state, slot)
        due_boot = inf if renewal is None else renewal - state.offset
        step = ("look", known.look_boot) if known.look_boot < due_boot else ("renewal", due_boot)
    held_back = state.held_back.get(slot.group)
    return step if held_back is None else (step[0], max(step[1], held_back))


def slot_next_boot(state: State, slot: Slot) -> float:
    return slot_next(state, slot)[1]


def due_orders(state: State, now: float) -> tuple[wire.Order, ...]:
    """The orders of the next pass; empty when nothing is due.

    When a principal's token is renewed, its slots that are nearly due come along: they share the token and stay in
    step.
    """
    slots = state.plan.slots
    if not any(slot_next_boot(state, slot) <= now for slot in slots):
        return ()

    def near(slot: Slot, ahead_s: float) -> bool:
        renewal = renew_at(state, slot)
        return renewal is not None and renewal <= state.aws_time(now) + ahead_s

    due = set()
    for slot in slots:  # they join a pass early, except where that could repair one twice in a minute
        repaired = now - state.slots[slot.id].repaired_boot < REPAIR_EVERY_S
        if slot_next_boot(state, slot) <= now + (0.0 if repaired else TOGETHER_S):
            due.add(slot.id)
    renewing = {slot.principal for slot in slots if slot.id in due and near(slot, TOGETHER_S)}
    orders = []
    for slot in slots:
        known = state.slots[slot.id]
        free = known.retry_boot is None and state.held_back.get(slot.group, now) <= now
        along = free and slot.principal in renewing and near(slot, life_of(state, slot) / 20)
        if slot.id in due or along:
            orders.append(wire.Order(*slot.id, known.expected_until, due=along or near(slot, TOGETHER_S)))
    return tuple(orders)


def pass_ends_boot(state: State, running: Pass) -> float:
    """When the pass has to end: at its limit; earlier where slots that it still serves hold up the others' renewal.

    Those may wait for a quarter of the life that their token has left when it is due. Only tokens that live for
    minutes are ever so short.
    """
    ends_boot = running.job.ends_at
    for slot in state.plan.slots:
        due, until = renew_at(state, slot), state.slots[slot.id].sure_until
        if slot.id in running.open or due is None or until is None or due - state.offset <= running.began_boot:
            continue
        ends_boot = min(ends_boot, due + (until - due) / 4 - state.offset)
    return ends_boot


def deadline_boot(state: State) -> float:
    """The next moment at which something is due or an expiry passes, on the boot clock; inf if there is none."""
    if state.running is not None:
        # A worker that can't be killed (it hangs in a dead disk) must not keep the loop awake.
        moments = [] if state.running.killed else [pass_ends_boot(state, state.running)]
    else:
        moments = [state.load_boot, *(slot_next_boot(state, slot) for slot in state.plan.slots)]
    if state.stop_by_boot is not None:
        moments.append(state.stop_by_boot)
    else:
        moments.append(state.cleaning.next_boot(state.plan.cleanup if state.passes else None))
    moments += [
        known.held_until - state.offset
        for known in state.slots.values()
        if known.held_until is not None and known.held_until - state.offset > state.turned_boot
    ]
    return min(moments, default=inf)


def next_boot(state: State) -> float:
    """When the loop has to turn at the latest, on the boot clock."""
    return min(state.turned_boot + TURN_MAX_S, deadline_boot(state))
