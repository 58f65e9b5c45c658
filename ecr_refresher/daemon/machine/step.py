"""The pure step: `step(state, event, now) -> (state, actions)`. It decides, and does nothing itself."""

from dataclasses import replace
from math import inf

from ...core import schedule, wire
from ...core.model import Failure, Reason
from . import bookings, cleanup
from .due import draw, due_orders, pass_ends_boot
from .events import Action, Asked, Event, Exit, Exited, Kill, Reported, Say, Start, Turn
from .state import STOP_S, Pass, State

_TOO_LONG = "See in the log which server did not answer, or raise refresh.deadline"


def initial(seed: int, load: wire.Load, now: float, wall: float, mono: float) -> State:
    return State(
        seed=seed, started_boot=now, load=load, load_boot=now, offset=wall - now, turned_boot=now, turned_mono=mono
    )


def step(state: State, event: Event, now: float) -> tuple[State, list[Action]]:
    """Take in one event and return the new state and the actions to carry out.

    Never raises, whatever a worker or a clock does.
    """
    state = _after(state, event, now)
    return (replace(state, outbox=()), [*state.outbox]) if state.outbox else (state, [])


def _after(state: State, event: Event, now: float) -> State:
    match event:
        case Turn():
            return cleanup.turned(_turned(state, event, now), now)
        case Reported() if state.cleaning.owns(event.job):
            return cleanup.booked(state, event, now)
        case Reported():
            return bookings.book(state, event, now)
        case Exited() if event.job is not None:
            return cleanup.exited(state, event, now)
        case Exited():
            return _exited(state, event, now)
        case Asked():
            return _asked(state, event, now)


def _turned(state: State, turn: Turn, now: float) -> State:
    offset = state.offset if state.offset_measured else turn.wall - now
    skew = turn.wall - now - offset if state.offset_measured else None
    state = replace(state, offset=offset, turned_boot=now, turned_mono=turn.mono)
    state = _seen_files(bookings.skewed(state, skew), turn.files, now)
    state = _readiness(state, now)
    if state.running is not None:
        return _watch_pass(state, state.running, now)
    return state.then(Exit(0)) if state.stopping else _next_pass(state, now)


def _watch_pass(state: State, running: Pass, now: float) -> State:
    """Kill a pass that takes too long; a stop does not wait for one that can't be killed."""
    if state.stop_by_boot is not None and now >= state.stop_by_boot:
        error = "the worker can't be killed: it hangs in the kernel"
        fix = "Look for a dead disk or network file system under the files in the settings"
        return state.then(Say("error", "worker_left_behind", {"error": error, "fix": fix}), Exit(0))
    if now < pass_ends_boot(state, running):
        return state
    if running.killed:
        return state.then(Kill())
    said = Say("error", "pass_killed", {"error": "the pass took too long and was killed", "fix": _TOO_LONG})
    return replace(state, running=replace(running, killed=True)).then(Kill(), said)


def _readiness(state: State, now: float) -> State:
    is_ready = state.ready(now)
    if not state.loaded or is_ready == state.was_ready:
        return state
    if is_ready:
        state = state.then(Say("info", "ready"))
    elif state.was_ready and not state.stopping:
        error = "a required slot holds no unexpired credential"
        fix = "Ask /readyz?verbose or /status which one and why"
        state = state.then(Say("error", "not_ready", {"error": error, "fix": fix}))
    return replace(state, was_ready=is_ready)


def _seen_files(state: State, files: dict[str, str], now: float) -> State:
    """Act on changed files: settings are read again, a new secret is tried, slots in a changed file are looked at."""
    plan = state.plan
    if state.running is not None:
        return state  # a worker of ours may be writing them
    changed = {path for path, witness in files.items() if state.files.get(path, witness) != witness}
    if not changed and files.keys() <= state.files.keys():
        return state
    state = state.copy()
    state.files.update(files)
    groups = {airflow.group for airflow in plan.airflows if airflow.secret_paths & changed}
    for slot in plan.slots if groups else ():
        if slot.group in groups:
            state.held_back.pop(slot.group, None)
            if state.slots[slot.id].retry_boot is not None:
                state.slots[slot.id] = replace(state.slots[slot.id], retry_boot=now)
    for path in changed:
        bookings.look_at_file(state, path, now)
    return replace(state, load_boot=now, load_tries=0) if plan.settings_file in changed else state


def _next_pass(state: State, now: float) -> State:
    orders = due_orders(state, now)
    serves = state.loaded and (orders or state.force)
    # Settings that were refused, or killed a worker, come after the slots that are due: those renew by the old plan.
    wanted = now >= state.load_boot and not (serves and not state.last_reload_ok)
    if not (wanted or serves):
        return state
    loads = wanted or state.plan.unresolved
    if state.force or loads:
        orders = tuple(wire.Order(*slot_id, known.expected_until) for slot_id, known in state.slots.items())
    lives_left = [(known.sure_until or 0.0) - state.aws_time(now) for known in state.slots.values()]
    job = wire.Job(
        id=state.jobs + 1,
        ends_at=now + schedule.pass_limit(state.plan.refresh, lives_left),
        load=state.load if loads else None,
        plan=None if loads else state.plan,
        orders=orders,
        lives={key: known.life for key, known in state.principals.items() if known.life is not None},
        own_hosts=state.own_hosts,
        clock_offset=state.offset if state.offset_measured else None,
        force=state.force,
    )
    running = Pass(job, {(order.sink, order.registry) for order in orders}, now, loads=wanted)
    load_boot = inf if wanted else state.load_boot
    return replace(state, jobs=job.id, running=running, force=False, load_boot=load_boot).then(Start(job))


def _exited(state: State, event: Exited, now: float) -> State:
    running = state.running
    if running is None:
        return state
    state = replace(state.copy(), passes=state.passes + 1, running=None)
    if state.stopping:
        return state.then(Exit(0))
    end = _not_loaded if running.loads else _left_open
    return end(state, running, event, now)


def _not_loaded(state: State, running: Pass, event: Exited, now: float) -> State:
    """The worker ended before it had read the settings; passes with the old plan go on until they are tried again."""
    tries = state.load_tries + 1
    why = "took too long and was killed" if running.killed else f"ended: {event.how}"
    failure = Failure(Reason.INTERNAL, f"the worker that read the settings {why}", event.fix or bookings.OUR_FAULT)
    pause = schedule.retry_pause(failure, tries, 0.0, state.plan.refresh, draw(state, "load", tries))
    state = replace(state, load_tries=tries, load_boot=min(state.load_boot, now + pause))
    if not state.loaded:
        return state.then(Say.failure("load_failed", failure, retry_in_s=round(pause, 1)))
    state = replace(
        state, force=state.force or running.job.force, reloads_failed=state.reloads_failed + 1, last_reload_ok=False
    )
    return state.then(Say.failure("reload_failed", failure, retry_in_s=round(pause, 1)))


def _left_open(state: State, running: Pass, event: Exited, now: float) -> State:
    """Fail the slots that the pass left without an outcome: the fault is ours."""
    failure = Failure(Reason.INTERNAL, f"the pass ended early: {event.how}", event.fix or bookings.OUR_FAULT)
    if running.killed:
        failure = Failure(Reason.INTERNAL, "the pass took too long and was killed", _TOO_LONG)
    for slot in () if running.refused else state.plan.slots:
        if slot.id in running.open:
            bookings.failed(state, slot, failure, now)
    return state if running.done else state.then(Say.failure("pass_died", failure))


def _asked(state: State, event: Asked, now: float) -> State:
    match event.what:
        case "refresh":
            return replace(state, force=True).then(Say("info", "refresh_asked"))
        case "reload":
            return replace(state, load_boot=now, load_tries=0).then(Say("info", "reload_asked"))
        case "stop":
            by = now + STOP_S if state.stop_by_boot is None else state.stop_by_boot
            end = Kill() if state.running else Exit(0)
            return replace(state, stop_by_boot=by).then(Say("info", "stopping"), end)
