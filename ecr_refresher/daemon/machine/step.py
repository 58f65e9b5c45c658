"""The pure step: `step(state, event, now) -> (state, actions)`. What decides does not act."""

from __future__ import annotations

from dataclasses import replace

from ...core import schedule, wire
from ...core.model import Failure, Reason
from ...core.plan import Plan, Slot
from . import bookings, cleaning
from .bookings import Stepped
from .events import Action, Asked, Event, Exit, Exited, Kill, Reported, Say, Start, Turn
from .state import REPAIR_EVERY_S, STOP_S, Pass, SlotId, State, draw, due_orders, lives_left, ready


def initial(seed: int, load: wire.Load, now: float, wall: float, mono: float) -> State:
    return State(
        seed=seed,
        started_boot=now,
        load=load,
        offset=wall - now,
        turned_boot=now,
        turned_mono=mono,
        load_boot=now,
    )


def step(state: State, event: Event, now: float) -> Stepped:
    """Take in one event; says what is to be done now. Never raises for anything that a worker or a clock does."""
    match event:
        case Turn():
            state, said = _turned(state, event, now)
            state, more = cleaning.turned(state, now)
            return state, [*said, *more]
        case Reported() if state.cleaning.owns(event.job):
            return cleaning.booked(state, event.job, event.line, now)
        case Reported():
            return bookings.book(state, event.job, event.line, now)
        case Exited() if event.job is not None:
            return cleaning.exited(state, event.job, event.how, now)
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
        if state.stop_by_boot is not None and now >= state.stop_by_boot:
            said.append(
                Say("error", "worker_left_behind", {"error": "the worker can't be killed: it hangs in the kernel"})
            )
            return state, [*said, Exit(0)]
        if now < state.running.job.ends_at:
            return state, said
        said.append(Kill())
        if not state.running.killed:
            limit_s = state.running.job.ends_at - now
            said.append(Say("error", "pass_killed", {"error": "the pass took longer than it may", "late_s": -limit_s}))
        return replace(state, running=replace(state.running, killed=True)), said
    if state.stopping:
        return state, [*said, Exit(0)]
    state, job = _next_job(state, now)
    return state, [*said, *([Start(job)] if job else [])]


def _readiness(state: State, now: float) -> Stepped:
    is_ready = ready(state, now)
    if state.plan is None or is_ready == state.was_ready:
        return state, []
    said: list[Action] = [Say("info", "ready")] if is_ready else []
    if state.was_ready and not is_ready and not state.stopping:
        said = [
            Say("error", "not_ready", {"error": "a required slot holds no unexpired credential; see /readyz?verbose"})
        ]
    return replace(state, was_ready=is_ready), said


def _seen_files(state: State, files: dict[str, str], now: float) -> State:
    """Note which watched files have changed: the settings, secrets that were refused, what holds our entries."""
    if state.running is not None or state.plan is None:
        return state  # our own worker may be writing: compared at the first turn after it
    changed = {path for path, witness in files.items() if state.files.get(path, witness) != witness}
    slots = dict(state.slots)
    if changed:
        for airflow in state.plan.airflows:
            for slot in _slots_of_airflow(state.plan, airflow.name) if airflow.secret_paths & changed else ():
                if slots[slot.id].retry_boot is not None:
                    slots[slot.id] = replace(slots[slot.id], retry_boot=now)
    for slot in state.plan.slots:
        known = slots[slot.id]
        seen = files.get(slot.target)
        if slot.kind == "docker" and known.witness is not None and seen is not None and seen != known.witness:
            look = max(now, known.repaired_boot + REPAIR_EVERY_S)
            slots[slot.id] = replace(known, look_boot=min(known.look_boot, look))
    reload = state.reload or state.plan.settings_file in changed
    return replace(state, slots=slots, files={**state.files, **files}, reload=reload)


def _slots_of_airflow(plan: Plan, name: str) -> list[Slot]:
    return [slot for slot in plan.slots if slot.kind == "airflow" and slot.sink.split("/")[1] == name]


def _next_job(state: State, now: float) -> tuple[State, wire.Job | None]:
    plan = state.plan
    if plan is None and now < state.load_boot:
        return state, None
    orders = due_orders(state, now)
    if not orders and not state.force and not state.reload and plan is not None:
        return state, None
    reloads = state.reload or state.reload_owed
    loads = reloads or plan is None or plan.unresolved
    everything = tuple(wire.Order(*slot_id, known.expected_until) for slot_id, known in state.slots.items())
    if state.force or loads:
        orders = everything
    job = wire.Job(
        id=state.jobs + 1,
        ends_at=now + schedule.pass_limit(state.rules, lives_left(state, now)),
        load=state.load if loads else None,
        plan=None if loads else plan,
        orders=orders,
        lives={key: known.life for key, known in state.principals.items() if known.life is not None},
        own_hosts=state.own_hosts,
        clock_offset=state.offset if state.offset_measured else None,
        force=state.force,
    )
    running = Pass(job, frozenset((order.sink, order.registry) for order in orders), reloads=reloads)
    return replace(state, jobs=job.id, running=running, force=False, reload=False, reload_owed=False), job


def _exited(state: State, event: Exited, now: float) -> Stepped:
    running = state.running
    if running is None:
        return state, []
    said: list[Action] = []
    state = replace(state, passes=state.passes + 1)
    if state.plan is None:
        tries = state.load_tries + 1
        failure = Failure(Reason.INTERNAL, f"the worker ended without a word of the settings ({event.how})")
        pause = schedule.retry_pause(failure, tries, 0.0, state.rules, draw(state, "load", tries))
        state = replace(state, load_tries=tries, load_boot=now + pause)
        said.append(Say("error", "load_failed", {"reason": failure.reason, "error": failure.message}))
    else:
        if not running.done and not state.stopping:
            said.append(Say("error", "pass_died", {"reason": Reason.INTERNAL, "error": event.how}))
            if running.reloads and not running.refused:
                state = replace(state, reloads_failed=state.reloads_failed + 1, last_reload_ok=False, reload_owed=True)
        for slot_id in running.open & state.slots.keys():
            state = _left_open(state, slot_id, running, event.how, now)
    state = replace(state, running=None)
    return state, [*said, *([Exit(0)] if state.stopping else [])]


def _left_open(state: State, slot_id: SlotId, running: Pass, how: str, now: float) -> State:
    """A slot that got no last word: it waits with its principal where that failed, else the fault is ours."""
    if running.done and running.refused:
        return state  # there was no pass, and nothing is known to be wrong with the slot
    owners = {slot.id: slot.principal for slot in state.plan.slots} if state.plan else {}
    principal = state.principals[owners[slot_id]]
    if running.done and principal.failure is not None:
        return bookings.not_fetched(state, slot_id, principal.failure, now)
    why = "was killed: it took too long" if running.killed else f"ended early ({how})"
    return bookings.failed(state, slot_id, Failure(Reason.INTERNAL, f"the pass {why}"), now)


def _asked(state: State, event: Asked, now: float) -> Stepped:
    match event.what:
        case "refresh":
            return replace(state, force=True), [Say("info", "refresh_asked")]
        case "reload":
            return replace(state, reload=True), [Say("info", "reload_asked")]
        case "stop":
            said: list[Action] = [Say("info", "stopping")]
            by = now + STOP_S if state.stop_by_boot is None else state.stop_by_boot
            return replace(state, stop_by_boot=by), [*said, Kill() if state.running else Exit(0)]
