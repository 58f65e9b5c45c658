"""The cleanup's part of the step: start and end the listener and the cleanups, book what they report. Pure.

Cleanup and passes run side by side; neither waits for the other.
"""

from dataclasses import replace
from typing import Literal

from ...core import wire
from ...core.model import Failure, Reason
from ...core.plan import Cleanup
from .events import Exited, Kill, Reported, Say, Start
from .state import Child, Cleaning, Run, State, counted

SWEEP_LIMIT_S = 300.0  # for one cleanup; the next one does the rest
LISTEN_FIRST_S, LISTEN_MAX_S = 5.0, 300.0  # pauses before an ended listener starts again
CLOCK_OFF_S = 5.0  # a listener whose clock is off AWS's by more is started again: cleanups go by AWS's time


def turned(state: State, now: float) -> State:
    """At a turn: kill what is over time or runs by old rules, start what is due."""
    rules = state.plan.cleanup
    if not state.loaded or state.stopping:
        return state
    state = _kill(state, rules, now)
    if not rules.enabled:
        return state
    if state.cleaning.listener is None and now >= state.cleaning.listen_boot:
        job = _job(state, "listen", now + 1e9)  # until it is killed
        child = Child(job, rules, state.offset)
        cleaning = replace(state.cleaning, listener=child, hears=False, listening_since_boot=now)
        state = replace(state, jobs=job.id, cleaning=cleaning).then(Start(job))
    # The first pass must have looked: only then is it known which credentials are valid.
    if state.passes > 0 and state.cleaning.sweep is None and now >= state.cleaning.sweep_due_boot:
        job = _job(state, "cleanup", now + SWEEP_LIMIT_S)
        cleaning = replace(state.cleaning, sweep=Child(job, rules), current=Run())
        state = replace(state, jobs=job.id, cleaning=cleaning).then(Start(job))
    return state


def _kill(state: State, rules: Cleanup, now: float) -> State:
    listener, sweep = state.cleaning.listener, state.cleaning.sweep
    if listener is not None and not listener.killed:
        # It may have started before AWS's first answer showed that the machine's clock is wrong.
        clock_is_off = state.offset_measured and abs(state.offset - listener.offset) > CLOCK_OFF_S
        if listener.rules != rules or clock_is_off:
            cleaning = replace(state.cleaning, listener=replace(listener, killed=True), hears=False)
            state = replace(state, cleaning=cleaning).then(Kill(listener.job.id))
    if sweep is not None and not sweep.killed and (now >= sweep.job.ends_at or not rules.enabled):
        cleaning = replace(state.cleaning, sweep=replace(sweep, killed=True))
        state = replace(state, cleaning=cleaning).then(Kill(sweep.job.id))
        if rules.enabled:
            error = f"the cleanup took longer than {SWEEP_LIMIT_S:.0f} s and was killed"
            state = state.then(Say("error", "cleanup_killed", {"error": error}))
    return state


def _job(state: State, kind: Literal["listen", "cleanup"], ends_at: float) -> wire.Job:
    held = {slot_id: known.held_until for slot_id, known in state.slots.items()}
    return wire.Job(
        id=state.jobs + 1,
        ends_at=ends_at,
        plan=state.plan,
        clock_offset=state.offset if state.offset_measured else None,
        kind=kind,
        valid_hosts=state.plan.valid_hosts(held, state.aws_time(state.turned_boot)),
        heard=state.cleaning.hears,
    )


def booked(state: State, reported: Reported, now: float) -> State:
    """Book lines of the listener or of a cleanup."""
    cleaning = state.cleaning
    for line in reported.lines:
        cleaning = _line(cleaning, reported.job, line, state.aws_time(now))
    return replace(state, cleaning=cleaning)


def _line(cleaning: Cleaning, job: int, line: wire.Line, at: float) -> Cleaning:
    match line:
        case wire.Listening():
            return replace(cleaning, hears=True, listen_tries=0)
        case wire.Removed():
            run = cleaning.current
            run = replace(run, removed=counted(run.removed, line.what), freed=run.freed + line.freed)
            cleaning = replace(cleaning, current=run)
            if line.dry_run:
                return cleaning
            return replace(cleaning, removed=counted(cleaning.removed, line.what), freed=cleaning.freed + line.freed)
        case wire.Hindered():
            return _hindered(cleaning, line, at)
        case wire.Swept():
            return replace(cleaning, current=replace(cleaning.current, swept=line))
        case wire.Done() if cleaning.sweep is not None and cleaning.sweep.job.id == job:
            return replace(cleaning, sweep=replace(cleaning.sweep, done=True))
        case _:
            return cleaning


def _hindered(cleaning: Cleaning, line: wire.Hindered, at: float) -> Cleaning:
    return replace(
        cleaning,
        hears=cleaning.hears and line.what != "events",
        current=replace(cleaning.current, failures=cleaning.current.failures + 1),
        failure=line.failure,
        failed_at=at,
        failures=counted(cleaning.failures, (line.what, line.failure.reason)),
    )


def exited(state: State, event: Exited, now: float) -> State:
    """The listener or a cleanup ended; plan its next start."""
    cleaning = state.cleaning
    if cleaning.listener is not None and cleaning.listener.job.id == event.job:
        return _listener_exited(state, cleaning.listener, event, now)
    sweep = cleaning.sweep
    if sweep is None:
        return state
    at = state.aws_time(now)
    if not sweep.done and not state.stopping:
        why = f"took longer than {SWEEP_LIMIT_S:.0f} s and was killed" if sweep.killed else f"ended early: {event.how}"
        failure = Failure(Reason.INTERNAL, f"the cleanup {why}", event.fix)
        cleaning = _hindered(cleaning, wire.Hindered("cleanup", failure), at)
        state = state.then(Say.failure("cleanup_died", failure))
    swept = cleaning.current.swept
    went_well = sweep.done and swept is not None and swept.ended
    cleaning = replace(
        cleaning,
        sweep=None,
        sweep_boot=now + sweep.rules.every,
        last=replace(cleaning.current, at=at),
        last_success_at=at if went_well else cleaning.last_success_at,
        failure=None if went_well and not cleaning.current.failures else cleaning.failure,
    )
    return replace(state, cleaning=cleaning)


def _listener_exited(state: State, listener: Child, event: Exited, now: float) -> State:
    tries, pause = state.cleaning.listen_tries, 0.0
    if not listener.killed:  # a killed one starts again at once, by the new rules or clock
        pause = min(LISTEN_MAX_S, LISTEN_FIRST_S * 2.0 ** min(tries, 10))
        failure = Failure(Reason.INTERNAL, f"the listener to the engine's events ended: {event.how}", event.fix)
        state = state.then(Say.failure("listener_died", failure))
    cleaning = replace(state.cleaning, listener=None, hears=False, listen_boot=now + pause, listen_tries=tries + 1)
    return replace(state, cleaning=cleaning)
