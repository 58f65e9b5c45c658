"""What the daemon knows, and what follows from it: what is due, and when to look up next. Pure.

Two clocks: `now` and all names that end in `_boot` are seconds on the boot clock, which counts suspends and which
nobody can step; `until` and all names that end in `_at` are AWS's time. `State.offset` leads from one to the other.
Liveness alone is measured on the monotonic clock (`mono`): a loop that sleeps with its machine does not hang.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from math import inf
from typing import Literal

from ...core import schedule, wire
from ...core.model import Failure, Outcome, Reason
from ...core.plan import Plan, Refresh, Slot
from .cleaning import Cleaning

SlotId = tuple[str, str]
Next = Literal["retry", "renewal", "look"]

TURN_MAX_S = 60.0  # the longest wait of the loop: files are watched by their stat at every turn
TOGETHER_S = 2.0  # what falls due within this goes into one pass
RECHECK_S = 60.0  # after a write into Airflow: look once more, somebody slower may have written over it
REPAIR_EVERY_S = 60.0  # at most one repair of a slot in this time: two programs must not fight over a file
STARTUP_GRACE_S = 60.0
STOP_S = 5.0  # of the 10 that an end may take


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts since the start, of one slot or principal."""

    attempts: int = 0
    failures: tuple[tuple[Reason, int], ...] = ()
    skipped: int = 0
    repaired: int = 0
    distinct: int = 0
    timed: int = 0
    seconds: float = 0.0

    def with_failure(self, reason: Reason) -> tuple[tuple[Reason, int], ...]:
        counts = dict(self.failures)
        counts[reason] = counts.get(reason, 0) + 1
        return tuple(counts.items())


@dataclass(frozen=True, slots=True)
class SlotState:
    """One slot, as far as known."""

    held_until: float | None = None  # None: not looked at yet; 0: nothing usable there
    expected_until: float | None = None  # what should be there: the last that was written, or found good
    life: float | None = None
    outcome: Outcome | None = None
    delivered_at: float | None = None
    token: str | None = None
    tries: int = 0  # failures in a row
    failure: Failure | None = None
    failed_at: float | None = None
    retry_boot: float | None = None
    look_boot: float = 0.0  # look again then, whatever else is known
    repaired_boot: float = -inf
    witness: str | None = None


@dataclass(frozen=True, slots=True)
class PrincipalState:
    """Whose tokens are fetched: the newest one's life, and how fetching goes."""

    issued_at: float | None = None
    expires_at: float | None = None
    last_success_at: float | None = None
    tries: int = 0
    failure: Failure | None = None
    failed_at: float | None = None
    retry_boot: float | None = None
    tally: Tally = Tally()

    @property
    def life(self) -> float | None:
        return None if self.expires_at is None or self.issued_at is None else self.expires_at - self.issued_at


@dataclass(frozen=True, slots=True)
class Pass:
    """The pass that is under way."""

    job: wire.Job
    open: frozenset[SlotId]  # slots of which the last word is not in
    reloads: bool = False  # the settings are wanted anew, and have not come yet
    refused: bool = False  # the settings are wrong: there is no pass
    killed: bool = False
    done: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """All of it. `seed` makes this daemon's draws its own; with it, every draw is a function of what it is for."""

    seed: int
    started_boot: float
    load: wire.Load = field(default_factory=wire.Load)
    offset: float = 0.0
    offset_measured: bool = False
    skew: float | None = None
    plan: Plan | None = None
    slots: dict[SlotId, SlotState] = field(default_factory=dict)
    tallies: dict[SlotId, Tally] = field(default_factory=dict)
    principals: dict[str, PrincipalState] = field(default_factory=dict)
    proof_failures: dict[tuple[str, str], int] = field(default_factory=dict)  # (registry, by) -> how often
    own_hosts: dict[str, str] = field(default_factory=dict)  # principal -> the caller's own registry, once found out
    running: Pass | None = None
    jobs: int = 0
    passes: int = 0  # passes that have come to an end, whichever
    load_tries: int = 0
    load_boot: float = 0.0
    force: bool = False
    reload: bool = False
    reload_owed: bool = False  # one that died: the next pass makes it good
    stop_by_boot: float | None = None  # asked to end; a worker that can't be killed is waited for no longer than this
    files: dict[str, str] = field(default_factory=dict)
    turned_boot: float = 0.0
    turned_mono: float = 0.0
    reloads_ok: int = 0
    reloads_failed: int = 0
    last_reload_ok: bool = True
    was_ready: bool | None = None
    cleaning: Cleaning = field(default_factory=Cleaning)

    def aws_time(self, boot: float) -> float:
        return boot + self.offset

    @property
    def stopping(self) -> bool:
        return self.stop_by_boot is not None

    @property
    def rules(self) -> Refresh:
        return self.plan.refresh if self.plan else Refresh()


def draw(state: State, *what: object) -> float:
    """A number in [0, 1) that this daemon will always draw for this."""
    return zlib.crc32(repr((state.seed, *what)).encode()) / 2**32


def life_of(state: State, slot: Slot) -> float:
    """The best that is known of how long tokens of the slot's principal live."""
    principal = state.principals.get(slot.principal)
    known = state.slots[slot.id].life or (principal.life if principal else None)
    return known or schedule.DEFAULT_LIFE_S


def renew_at(state: State, slot: Slot) -> float | None:
    """When what the slot holds is due, on AWS's time; one draw for all slots that hold the same credential."""
    until = state.slots[slot.id].expected_until
    if until is None:
        return None
    life = life_of(state, slot)
    return schedule.renewal_at(until - life, until, state.rules, draw(state, slot.principal, int(until)))


def slot_next(state: State, slot: Slot) -> tuple[Next, float]:
    """What the slot wants next, and when on the boot clock: the retry if it failed, else renewal or look."""
    known = state.slots[slot.id]
    if known.retry_boot is not None:
        return "retry", known.retry_boot
    renewal = renew_at(state, slot)
    due_boot = inf if renewal is None else renewal - state.offset
    return ("look", known.look_boot) if known.look_boot < due_boot else ("renewal", due_boot)


def slot_next_boot(state: State, slot: Slot) -> float:
    """When the slot wants to be seen to, on the boot clock."""
    return slot_next(state, slot)[1]


def due_orders(state: State, now: float) -> tuple[wire.Order, ...]:
    """What the next pass has to see to; empty when nothing is due.

    Slots of a principal whose token is being renewed come along when their own renewal is near: they then share
    one token, and stay in step.
    """
    if state.plan is None:
        return ()
    slots = state.plan.slots
    if not any(slot_next_boot(state, slot) <= now for slot in slots):
        return ()
    due = {slot.id for slot in slots if slot_next_boot(state, slot) <= now + _ahead_s(state, slot, now)}
    aws_now = state.aws_time(now)

    def near(slot: Slot, ahead_s: float) -> bool:
        renewal = renew_at(state, slot)
        return renewal is not None and renewal <= aws_now + ahead_s

    renewing = {slot.principal for slot in slots if slot.id in due and near(slot, TOGETHER_S)}
    orders = []
    for slot in slots:
        known = state.slots[slot.id]
        along = slot.principal in renewing and known.retry_boot is None and near(slot, life_of(state, slot) / 20)
        if slot.id in due or along:
            orders.append(wire.Order(*slot.id, known.expected_until, due=along or near(slot, TOGETHER_S)))
    return tuple(orders)


def _ahead_s(state: State, slot: Slot, now: float) -> float:
    """How much sooner it may be seen to, together with others: not at all while that could repair it twice a minute."""
    return 0.0 if now - state.slots[slot.id].repaired_boot < REPAIR_EVERY_S else TOGETHER_S


def deadline_boot(state: State) -> float:
    """The next moment at which something is to be done or will have changed by itself; never, if that is unknown."""
    if state.running is not None:
        # A worker that can't even be killed (it hangs in a dead disk) must not keep the loop awake.
        moments = [] if state.running.killed else [state.running.job.ends_at]
    elif state.plan is None:
        moments = [state.load_boot]
    else:
        moments = [slot_next_boot(state, slot) for slot in state.plan.slots]
    if state.stop_by_boot is not None:
        moments.append(state.stop_by_boot)
    else:
        moments.append(state.cleaning.next_boot(state.plan.cleanup if state.plan and state.passes else None))
    moments += [
        known.held_until - state.offset
        for known in state.slots.values()
        if known.held_until is not None and known.held_until - state.offset > state.turned_boot
    ]
    return min(moments, default=inf)


def next_boot(state: State) -> float:
    """When the loop has to turn at the latest, on the boot clock."""
    return min(state.turned_boot + TURN_MAX_S, deadline_boot(state))


def lives_left(state: State, now: float) -> list[float]:
    """Seconds that what the slots hold has yet to live."""
    aws_now = state.aws_time(now)
    return [known.held_until - aws_now for known in state.slots.values() if known.held_until is not None]


def holds(state: State, slot: Slot, now: float) -> bool:
    """Whether the slot holds an unexpired credential, as far as known."""
    until = state.slots[slot.id].held_until
    return until is not None and until > state.aws_time(now)


def ready(state: State, now: float) -> bool:
    """Every required slot holds an unexpired credential, and nobody has asked us to stop."""
    if state.plan is None or state.stopping:
        return False
    return all(holds(state, slot, now) for slot in state.plan.slots if slot.required)


def live(state: State, mono: float) -> bool:
    """The loop turns; nothing outside can make this false."""
    return mono - state.turned_mono <= 2 * TURN_MAX_S


def started(state: State, now: float) -> bool:
    """Enough is done for the containers beside us to start; never waits long, and never for Airflow."""
    if now - state.started_boot >= STARTUP_GRACE_S or state.passes > 0:
        return True
    if state.plan is None:
        return False
    files = [slot for slot in state.plan.slots if slot.kind == "docker" and slot.required]
    return bool(files) and all(holds(state, slot, now) for slot in files)
