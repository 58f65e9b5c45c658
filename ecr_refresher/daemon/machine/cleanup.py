"""The cleanup's part of the step: start and end the listener and the cleanups, book what they report. Pure.

Cleanup and passes run side by side; neither waits for the other.
"""

from __future__ import annotations

from dataclasses import replace

from ...core import wire
from ...core.model import Failure, Reason
from ...core.plan import Cleanup
from ...core.validity import valid_hosts
from .cleaning import Child, Cleaning, Run
from .events import Action, Kill, Say, Start
from .state import State, Stepped

SWEEP_LIMIT_S = 300.0  # for one cleanup; the next one does the rest
LISTEN_FIRST_S, LISTEN_MAX_S = 5.0, 300.0  # pauses before an ended listener starts again
CLOCK_OFF_S = 5.0  # a listener whose clock is off AWS's by more is started again: cleanups go by AWS's time
FOR_EVER_S = 1e9


def turned(state: State, now: float) -> Stepped:
    """At a turn: kill what is over time or runs by old rules, start what is due."""
    if state.plan is None or state.stopping:
        return state, []
    rules, said = state.plan.cleanup, list[Action]()
    state, said = _kill(state, rules, now)
    if not rules.enabled:
        return state, said
    if state.cleaning.listener is None and now >= state.cleaning.listen_boot:
        state, job = _job(state, "listen", now + FOR_EVER_S)
        child = Child(job, rules, state.offset)
        cleaning = replace(state.cleaning, listener=child, hears=False, listening_since_boot=now)
        state, said = replace(state, cleaning=cleaning), [*said, Start(job)]
    # The first pass must have looked: only then is it known which credentials are valid.
    if state.passes > 0 and state.cleaning.sweep is None and now >= state.cleaning.sweep_due_boot:
        state, job = _job(state, "cleanup", now + SWEEP_LIMIT_S)
        cleaning = replace(state.cleaning, sweep=Child(job, rules), current=Run())
        state, said = replace(state, cleaning=cleaning), [*said, Start(job)]
    return state, said


def _kill(state: State, rules: Cleanup, now: float) -> Stepped:
    cleaning, said = state.cleaning, list[Action]()
    listener, sweep = cleaning.listener, cleaning.sweep
    if listener is not None and not listener.killed and (listener.rules != rules or _clock_is_off(state, listener)):
        said.append(Kill(listener.job.id))
        cleaning = replace(cleaning, listener=replace(listener, killed=True), hears=False)
    if sweep is not None and not sweep.killed and (now >= sweep.job.ends_at or not rules.enabled):
        said.append(Kill(sweep.job.id))
        if rules.enabled:
            error = f"the cleanup took longer than {SWEEP_LIMIT_S:.0f} s and was killed"
            said.append(Say("error", "cleanup_killed", {"error": error}))
        cleaning = replace(cleaning, sweep=replace(sweep, killed=True))
    return replace(state, cleaning=cleaning), said


def _clock_is_off(state: State, listener: Child) -> bool:
    """The listener started before AWS's first answer showed that the machine's clock is wrong."""
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


def booked(state: State, job: int, lines: tuple[wire.Line, ...], now: float) -> Stepped:
    """Book lines of the listener or of a cleanup."""
    cleaning = state.cleaning
    for line in lines:
        cleaning = _line(cleaning, job, line, state.aws_time(now))
    return replace(state, cleaning=cleaning), []


def _line(cleaning: Cleaning, job: int, line: wire.Line, at: float) -> Cleaning:
    match line:
        case wire.Listening():
            return replace(cleaning, hears=True, listen_tries=0)
        case wire.Removed():
            return _removed(cleaning, line)
        case wire.Hindered():
            return _hindered(cleaning, line, at)
        case wire.Swept() if cleaning.sweep is not None:
            return replace(cleaning, sweep=replace(cleaning.sweep, swept=line))
        case wire.Done() if cleaning.sweep is not None and cleaning.sweep.job.id == job:
            return replace(cleaning, sweep=replace(cleaning.sweep, done=True))
        case _:
            return cleaning


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


def exited(state: State, job: int, how: str, fix: str, now: float) -> Stepped:
    """The listener or a cleanup ended; plan its next start."""
    cleaning = state.cleaning
    if cleaning.listener is not None and cleaning.listener.job.id == job:
        return _listener_exited(state, cleaning.listener, how, fix, now)
    sweep, said = cleaning.sweep, list[Action]()
    if sweep is None:
        return state, []
    at = state.aws_time(now)
    if not sweep.done and not state.stopping:
        why = f"took longer than {SWEEP_LIMIT_S:.0f} s and was killed" if sweep.killed else f"ended early: {how}"
        failure = Failure(Reason.INTERNAL, f"the cleanup {why}", fix)
        cleaning = _hindered(cleaning, wire.Hindered("cleanup", failure), at)
        said.append(
            Say("error", "cleanup_died", {"reason": failure.reason, "error": failure.message, "fix": fix or None})
        )
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


def _listener_exited(state: State, listener: Child, how: str, fix: str, now: float) -> Stepped:
    cleaning, said = state.cleaning, list[Action]()
    pause = 0.0
    if not listener.killed:  # a killed one starts again at once, by the new rules or clock
        pause = min(LISTEN_MAX_S, LISTEN_FIRST_S * 2.0 ** min(cleaning.listen_tries, 10))
        failure = Failure(Reason.INTERNAL, f"the listener to the engine's events ended: {how}", fix)
        said.append(Say.failure("listener_died", failure))
    cleaning = replace(
        cleaning, listener=None, hears=False, listen_boot=now + pause, listen_tries=cleaning.listen_tries + 1
    )
    return replace(state, cleaning=cleaning), said
