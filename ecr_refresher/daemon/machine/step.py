"""The pure step: `step(state, event, now) -> (state, actions)`. It decides, and does nothing itself."""

from dataclasses import replace
from math import inf

from ...core import schedule, wire
from ...core.model import Failure, Reason
from . import bookings, cleanup
from .due import draw, due_orders, pass_ends_boot
from .events import Action, Asked, Event, Exit, Exited, Kill, Reported, Say, Start, Turn
from .health import ready
from .state import STOP_S, Pass, State, Stepped

_TOO_LONG = "See in the log which server did not answer, or raise refresh.deadline"


def initial(seed: int, load: wire.Load, now: float, wall: float, mono: float) -> State:
    return State(
        seed=seed, started_boot=now, load=load, load_boot=now, offset=wall - now, turned_boot=now, turned_mono=mono
    )


def step(state: State, event: Event, now: float) -> Stepped:
    """Take in one event and return the new state and the actions to carry out.

    Never raises, whatever a worker or a clock does.
    """
    match event:
        case Turn():
            state, said = _turned(state, event, now)
            state, more = cleanup.turned(state, now)
            return state, [*said, *more]
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


def _turned(state: State, turn: Turn, now: float) -> Stepped:
    offset = state.offset if state.offset_measured else turn.wall - now
    skew = turn.wall - now - offset if state.offset_measured else None
    state = replace(state, offset=offset, turned_boot=now, turned_mono=turn.mono)
    state, said = bookings.skewed(state, skew)
    state = _seen_files(state, turn.files, now)
    state, more = _readiness(state, now)
    said += more
    if state.running is not None:
        state, more = _watch_pass(state, state.running, now)
        return state, [*said, *more]
    if state.stopping:
        return state, [*said, Exit(0)]
    state, job = _next_job(state, now)
    return state, [*said, *([Start(job)] if job else [])]


def _watch_pass(state: State, running: Pass, now: float) -> Stepped:
    """Kill a pass that takes too long; a stop does not wait for one that can't be killed."""
    if state.stop_by_boot is not None and now >= state.stop_by_boot:
        error = "the worker can't be killed: it hangs in the kernel"
        fix = "Look for a dead disk or network file system under the files in the settings"
        return state, [Say("error", "worker_left_behind", {"error": error, "fix": fix}), Exit(0)]
    if now < pass_ends_boot(state, running):
        return state, []
    if running.killed:
        return state, [Kill()]
    said = Say("error", "pass_killed", {"error": "the pass took too long and was killed", "fix": _TOO_LONG})
    return replace(state, running=replace(running, killed=True)), [Kill(), said]


def _readiness(state: State, now: float) -> Stepped:
    is_ready = ready(state, now)
    if not state.loaded or is_ready == state.was_ready:
        return state, []
    said: list[Action] = [Say("info", "ready")] if is_ready else []
    if state.was_ready and not is_ready and not state.stopping:
        error = "a required slot holds no unexpired credential"
        said = [Say("error", "not_ready", {"error": error, "fix": "Ask /readyz?verbose or /status which one and why"})]
    return replace(state, was_ready=is_ready), said


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


def _next_job(state: State, now: float) -> tuple[State, wire.Job | None]:
    orders = due_orders(state, now)
    serves = state.loaded and (orders or state.force)
    # Settings that have killed a worker come after the slots that are due: those renew by the old plan.
    wanted = now >= state.load_boot and not (state.load_tries and serves)
    if not (wanted or serves):
        return state, None
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
    return replace(state, jobs=job.id, running=running, force=False, load_boot=load_boot), job


def _exited(state: State, event: Exited, now: float) -> Stepped:
    running, said = state.running, list[Action]()
    if running is None:
        return state, []
    state = replace(state.copy(), passes=state.passes + 1)
    if state.stopping:
        said = [Exit(0)]
    elif running.loads:
        state, said = _not_loaded(state, running, event, now)
    else:
        said = _left_open(state, running, event, now)
    return replace(state, running=None), said


def _not_loaded(state: State, running: Pass, event: Exited, now: float) -> Stepped:
    """The worker ended before it had read the settings; passes with the old plan go on until they are tried again."""
    tries = state.load_tries + 1
    why = "took too long and was killed" if running.killed else f"ended: {event.how}"
    failure = Failure(Reason.INTERNAL, f"the worker that read the settings {why}", event.fix or bookings.OUR_FAULT)
    pause = schedule.retry_pause(failure, tries, 0.0, state.plan.refresh, draw(state, "load", tries))
    state = replace(state, load_tries=tries, load_boot=min(state.load_boot, now + pause))
    if not state.loaded:
        return state, [Say.failure("load_failed", failure, retry_in_s=round(pause, 1))]
    state = replace(
        state, force=state.force or running.job.force, reloads_failed=state.reloads_failed + 1, last_reload_ok=False
    )
    return state, [Say.failure("reload_failed", failure, retry_in_s=round(pause, 1))]


def _left_open(state: State, running: Pass, event: Exited, now: float) -> list[Action]:
    """Fail the slots that the pass left without an outcome: the fault is ours."""
    said: list[Action] = []
    failure = Failure(Reason.INTERNAL, f"the pass ended early: {event.how}", event.fix or bookings.OUR_FAULT)
    if running.killed:
        failure = Failure(Reason.INTERNAL, "the pass took too long and was killed", _TOO_LONG)
    if not running.done:
        said.append(Say.failure("pass_died", failure))
    if running.refused:
        return said
    for slot in state.plan.slots:
        if slot.id in running.open:
            bookings.failed(state, slot, failure, now)
    return said


def _asked(state: State, event: Asked, now: float) -> Stepped:
    match event.what:
        case "refresh":
            return replace(state, force=True), [Say("info", "refresh_asked")]
        case "reload":
            return replace(state, load_boot=now, load_tries=0), [Say("info", "reload_asked")]
        case "stop":
            by = now + STOP_S if state.stop_by_boot is None else state.stop_by_boot
            return replace(state, stop_by_boot=by), [Say("info", "stopping"), Kill() if state.running else Exit(0)]
