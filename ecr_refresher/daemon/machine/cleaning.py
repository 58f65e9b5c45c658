"""The cleanup as the daemon sees it: a child that listens, jobs that remove, and what both have told. Pure.

It stands beside the passes: neither ever waits for the other. What is due, and when, is `turned` and `next_boot`;
`State.cleaning` is all that it knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING

from ...core import wire
from ...core.model import Failure, Reason
from ...core.plan import Cleanup
from ...core.validity import valid_hosts
from .events import Action, Kill, Say, Start

if TYPE_CHECKING:
    from .state import State

SWEEP_LIMIT_S = 300.0  # one cleanup; what it has not come to is for the next
LISTEN_FIRST_S, LISTEN_MAX_S = 5.0, 300.0  # pauses before a listener that has ended is started again
HEAR_WITHIN_S = 30.0  # so long a cleanup waits for the listener; then it makes do with what the engine has kept
CLOCK_OFF_S = 5.0  # from AWS's time, which cleanups go by; what the listener writes down may be off by so much
FOR_EVER_S = 1e9


@dataclass(frozen=True, slots=True)
class Child:
    """A listener or a cleanup that runs."""

    job: wire.Job
    rules: Cleanup
    offset: float = 0.0  # from the boot clock to AWS's time, as it was believed to be at its start
    killed: bool = False
    swept: wire.Swept | None = None
    done: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """What a cleanup has done so far, or did."""

    at: float | None = None  # when it ended, on AWS's clock
    removed: Mapping[str, int] = field(default_factory=dict)  # what -> how many; of a dry run, would be
    freed: int = 0
    failures: int = 0
    swept: wire.Swept | None = None


@dataclass(frozen=True, slots=True)
class Cleaning:
    """All that is known of it; counts are since the start."""

    listener: Child | None = None
    hears: bool = False
    listen_boot: float = 0.0
    listen_tries: int = 0
    listening_since_boot: float = 0.0
    sweep: Child | None = None
    sweep_boot: float = 0.0
    current: Run = field(default_factory=Run)
    last: Run = field(default_factory=Run)
    last_success_at: float | None = None
    failure: Failure | None = None
    failed_at: float | None = None
    removed: Mapping[str, int] = field(default_factory=dict)
    freed: int = 0
    failures: Mapping[tuple[str, Reason], int] = field(default_factory=dict)

    def owns(self, job: int | None) -> bool:
        return job is not None and any(child is not None and child.job.id == job for child in self._children())

    def _children(self) -> tuple[Child | None, Child | None]:
        return self.listener, self.sweep

    def next_boot(self, rules: Cleanup | None) -> float:
        """When the loop has to turn for it at the latest."""
        moments = [] if self.sweep is None or self.sweep.killed else [self.sweep.job.ends_at]
        if rules is not None and rules.enabled:
            moments += [self.listen_boot] if self.listener is None else []
            moments += [self._sweep_due()] if self.sweep is None else []
        return min(moments, default=inf)

    def _sweep_due(self) -> float:
        heard = self.hears or self.listener is None
        return self.sweep_boot if heard else max(self.sweep_boot, self.listening_since_boot + HEAR_WITHIN_S)


def turned(state: State, now: float) -> tuple[State, list[Action]]:
    """See to it at a turn: what runs too long or by old rules is ended, what is due is started."""
    if state.plan is None or state.stopping:
        return state, []
    rules, said = state.plan.cleanup, list[Action]()
    state, said = _end_what_is_over(state, rules, now)
    if not rules.enabled:
        return state, said
    if state.cleaning.listener is None and now >= state.cleaning.listen_boot:
        state, job = _job(state, "listen", now + FOR_EVER_S)
        listening = replace(
            state.cleaning, listener=Child(job, rules, state.offset), hears=False, listening_since_boot=now
        )
        state, said = replace(state, cleaning=listening), [*said, Start(job)]
    # Which credentials are valid is known once the first pass has looked.
    if state.passes > 0 and state.cleaning.sweep is None and now >= state.cleaning._sweep_due():
        state, job = _job(state, "cleanup", now + SWEEP_LIMIT_S)
        sweeping = replace(state.cleaning, sweep=Child(job, rules), current=Run())
        state, said = replace(state, cleaning=sweeping), [*said, Start(job)]
    return state, said


def _end_what_is_over(state: State, rules: Cleanup, now: float) -> tuple[State, list[Action]]:
    cleaning, said = state.cleaning, list[Action]()
    listener, sweep = cleaning.listener, cleaning.sweep
    if listener is not None and not listener.killed and (listener.rules != rules or _off(state, listener)):
        said.append(Kill(listener.job.id))
        cleaning = replace(cleaning, listener=replace(listener, killed=True), hears=False)
    if sweep is not None and not sweep.killed and (now >= sweep.job.ends_at or not rules.enabled):
        said.append(Kill(sweep.job.id))
        if rules.enabled:
            said.append(Say("error", "cleanup_killed", {"error": "the cleanup took longer than it may"}))
        cleaning = replace(cleaning, sweep=replace(sweep, killed=True))
    return replace(state, cleaning=cleaning), said


def _off(state: State, listener: Child) -> bool:
    """A machine's clock may be wrong, which the first answer of AWS tells; the listener began before that."""
    return state.offset_measured and abs(state.offset - listener.offset) > CLOCK_OFF_S


def _job(state: State, kind: str, ends_at: float) -> tuple[State, wire.Job]:
    held = {slot_id: known.held_until for slot_id, known in state.slots.items()}
    now = state.aws_time(state.turned_boot)
    job = wire.Job(
        id=state.jobs + 1,
        ends_at=ends_at,
        plan=state.plan,
        clock_offset=state.offset if state.offset_measured else None,
        kind="listen" if kind == "listen" else "cleanup",
        valid_hosts=valid_hosts(state.plan, held, now) if state.plan is not None else (),
        heard=state.cleaning.hears,
    )
    return replace(state, jobs=job.id), job


def booked(state: State, job: int, line: wire.Line, now: float) -> tuple[State, list[Action]]:
    """Enter one line of the listener or of a cleanup."""
    cleaning = state.cleaning
    match line:
        case wire.Listening():
            cleaning = replace(cleaning, hears=True, listen_tries=0)
        case wire.Removed():
            cleaning = _removed(cleaning, line)
        case wire.Hindered():
            cleaning = _hindered(cleaning, line, state.aws_time(now))
        case wire.Swept() if cleaning.sweep is not None:
            cleaning = replace(cleaning, sweep=replace(cleaning.sweep, swept=line))
        case wire.Done() if cleaning.sweep is not None and cleaning.sweep.job.id == job:
            cleaning = replace(cleaning, sweep=replace(cleaning.sweep, done=True))
        case _:
            pass
    return replace(state, cleaning=cleaning), []


def _removed(cleaning: Cleaning, line: wire.Removed) -> Cleaning:
    run = replace(
        cleaning.current,
        removed={**cleaning.current.removed, line.what: cleaning.current.removed.get(line.what, 0) + 1},
        freed=cleaning.current.freed + line.freed,
    )
    if line.dry_run:
        return replace(cleaning, current=run)
    removed = {**cleaning.removed, line.what: cleaning.removed.get(line.what, 0) + 1}
    return replace(cleaning, current=run, removed=removed, freed=cleaning.freed + line.freed)


def _hindered(cleaning: Cleaning, line: wire.Hindered, at: float) -> Cleaning:
    key = (line.what, line.failure.reason)
    return replace(
        cleaning,
        hears=cleaning.hears and line.what != "events",
        current=replace(cleaning.current, failures=cleaning.current.failures + 1),
        failure=line.failure,
        failed_at=at,
        failures={**cleaning.failures, key: cleaning.failures.get(key, 0) + 1},
    )


def exited(state: State, job: int, how: str, now: float) -> tuple[State, list[Action]]:
    """The listener or a cleanup is gone; it will be started again."""
    cleaning = state.cleaning
    if cleaning.listener is not None and cleaning.listener.job.id == job:
        return _listener_gone(state, cleaning.listener, how, now)
    sweep, said = cleaning.sweep, list[Action]()
    if sweep is None:
        return state, []
    if not sweep.done and not state.stopping:
        why = "was killed: it took too long" if sweep.killed else f"ended early ({how})"
        failure = Failure(Reason.INTERNAL, f"the cleanup {why}")
        cleaning = _hindered(cleaning, wire.Hindered("cleanup", failure), state.aws_time(now))
        said.append(Say("error", "cleanup_died", {"reason": Reason.INTERNAL, "error": failure.message}))
    at = state.aws_time(now)
    went_well = sweep.done and sweep.swept is not None and sweep.swept.ended
    cleaning = replace(
        cleaning,
        sweep=None,
        sweep_boot=now + sweep.rules.every,
        last=replace(cleaning.current, at=at, swept=sweep.swept),
        last_success_at=at if went_well else cleaning.last_success_at,
        failure=None if went_well and not cleaning.current.failures else cleaning.failure,
    )
    return replace(state, cleaning=cleaning), said


def _listener_gone(state: State, listener: Child, how: str, now: float) -> tuple[State, list[Action]]:
    cleaning, said = state.cleaning, list[Action]()
    pause = 0.0
    if not listener.killed:  # killed: its rules or its clock have changed, and the next goes by the new ones
        pause = min(LISTEN_MAX_S, LISTEN_FIRST_S * 2.0 ** min(cleaning.listen_tries, 10))
        said.append(Say("error", "listener_died", {"reason": Reason.INTERNAL, "error": how}))
    cleaning = replace(
        cleaning, listener=None, hears=False, listen_boot=now + pause, listen_tries=cleaning.listen_tries + 1
    )
    return replace(state, cleaning=cleaning), said
