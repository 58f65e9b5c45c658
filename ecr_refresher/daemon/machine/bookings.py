"""What each report line of a worker changes in the state. Pure."""

from __future__ import annotations

from dataclasses import replace

from ...core import schedule, wire
from ...core.model import Failure, Outcome, Reason
from .events import Action, Adopt, Exit, Say
from .state import RECHECK_S, TOGETHER_S, PrincipalState, SlotId, SlotState, State, Tally, draw

SKEW_LOUD_S = 300.0
Stepped = tuple[State, list[Action]]


def book(state: State, job: int, line: wire.Line, now: float) -> Stepped:
    """Enter one line into the state; lines of a worker that is already written off are passed over."""
    if state.running is None or job != state.running.job.id:
        return state, []
    match line:
        case wire.Planned():
            return _planned(state, line, now)
        case wire.Refused():
            return _refused(state, line)
        case wire.Clock():
            return _clocked(state, line)
        case wire.Looked():
            return _looked(state, line, now), []
        case wire.Fetched():
            return _fetched(state, line, now), []
        case wire.Proved():
            return _proved(state, line), []
        case wire.Delivered():
            return _delivered(state, line, now), []
        case wire.Done():
            return replace(state, running=replace(state.running, done=True)), []
        case _:
            return state, []  # of a cleanup: not this worker's business


def _planned(state: State, line: wire.Planned, now: float) -> Stepped:
    plan, first, running = line.plan, state.plan is None, state.running
    reloaded = False
    slots = {slot.id: state.slots.get(slot.id, SlotState(look_boot=now)) for slot in plan.slots}
    fresh = frozenset(slots) if first else frozenset(slots.keys() - state.slots.keys())
    said: list[Action] = [Adopt(plan, first)] if plan != state.plan else []
    if running is not None:
        running = replace(running, open=(running.open & slots.keys()) | fresh)
        reloaded, running = running.reloads, replace(running, reloads=False)
    if reloaded:
        said.append(Say("info", "settings_reloaded", {"changed": plan != state.plan}))
        state = replace(state, reloads_ok=state.reloads_ok + 1, last_reload_ok=True)
    state = replace(
        state,
        plan=plan,
        slots=slots,
        tallies={slot_id: state.tallies.get(slot_id, Tally()) for slot_id in slots},
        principals={slot.principal: state.principals.get(slot.principal, PrincipalState()) for slot in plan.slots},
        running=running,
        own_hosts={**state.own_hosts, **line.own_hosts},
        load_tries=0,
        files={**state.files, **({plan.settings_file: line.witness} if plan.settings_file and line.witness else {})},
    )
    return state, said


def _refused(state: State, line: wire.Refused) -> Stepped:
    if state.plan is None:
        return state, [Exit(2, line.errors)]
    said = Say("error", "settings_refused", {"error": "; ".join(line.errors), "kept": "the settings of before"})
    running = None if state.running is None else replace(state.running, refused=True)
    return replace(state, running=running, reloads_failed=state.reloads_failed + 1, last_reload_ok=False), [said]


def _clocked(state: State, line: wire.Clock) -> Stepped:
    state, said = skewed(state, line.skew)
    return replace(state, offset=line.offset, offset_measured=True), said


def skewed(state: State, skew: float | None) -> Stepped:
    """Note how far the wall clock is off; loudly where it has just gone too far."""
    said: list[Action] = []
    if skew is not None and abs(skew) > SKEW_LOUD_S and (state.skew is None or abs(state.skew) <= SKEW_LOUD_S):
        mend = "set the clock (chrony, timedatectl): AWS refuses requests signed with a wrong one"
        said = [Say("warning", "clock_skewed", {"skew_s": round(skew, 1), "error": mend})]
    return replace(state, skew=skew), said


def with_slot(state: State, slot_id: SlotId, known: SlotState, *, closed: bool = True) -> State:
    running = state.running
    if running is not None and closed:
        running = replace(running, open=running.open - {slot_id})
    return replace(state, slots={**state.slots, slot_id: known}, running=running)


def _look_after(state: State, slot_id: SlotId, now: float, *, written: bool) -> float:
    """When to look at the slot again: files tell by themselves, Airflow has to be asked."""
    if not slot_id[0].startswith("airflow/"):
        return float("inf")
    if written:
        return now + RECHECK_S
    # A little earlier or later each time, so that a fleet started at once does not ask at once for ever.
    verify = now + state.rules.verify_every * (0.9 + 0.2 * draw(state, "verify", slot_id, state.jobs))
    planned = state.slots[slot_id].look_boot
    # The look that is to follow a write follows it, even if something else has had us look in between.
    return min(verify, planned) if planned > now + TOGETHER_S else verify


def _life_held(state: State, known: SlotState, line: wire.Looked | wire.Delivered, now: float) -> float | None:
    """The life of what was found: of the same credential it stays, whatever newer ones are granted.

    Of another daemon's it is a guess by our own newest token, but no less than what is left of it; that only once AWS
    has told the time: with a clock that is behind, everything would seem to live longer, and be renewed too early.
    """
    if line.until is not None and line.until == known.held_until and known.life is not None:
        return known.life
    guess = line.life or known.life
    if guess is None or not state.offset_measured:
        return guess
    return max(guess, (line.until or 0.0) - state.aws_time(now))


def _looked(state: State, line: wire.Looked, now: float) -> State:
    slot_id = (line.sink, line.registry)
    known = state.slots.get(slot_id)
    if known is None:
        return state
    life = _life_held(state, known, line, now)
    known = replace(known, held_until=line.until or 0.0, life=life, witness=line.witness)
    if line.needed:
        return with_slot(state, slot_id, known, closed=False)
    known = replace(
        known,
        expected_until=line.until,
        tries=0,
        failure=None,
        retry_boot=None,
        look_boot=_look_after(state, slot_id, now, written=False),
    )
    return with_slot(state, slot_id, known)


def _fetched(state: State, line: wire.Fetched, now: float) -> State:
    known = state.principals.get(line.principal)
    if known is None:
        return state
    aws_now = state.aws_time(now)
    tally = replace(
        known.tally,
        attempts=known.tally.attempts + 1,
        timed=known.tally.timed + 1,
        seconds=known.tally.seconds + line.duration_s,
    )
    if line.failure is None:
        known = PrincipalState(line.issued_at, line.expires_at, last_success_at=aws_now, tally=tally)
    else:
        tries = known.tries + 1
        left = min((left for left in _lives_of(state, line.principal, aws_now) if left > 0), default=0.0)
        roll = draw(state, line.principal, tries, state.jobs)
        known = replace(
            known,
            tries=tries,
            failure=line.failure,
            failed_at=aws_now,
            retry_boot=now + schedule.retry_pause(line.failure, tries, left, state.rules, roll),
            tally=replace(tally, failures=tally.with_failure(line.failure.reason)),
        )
    return replace(state, principals={**state.principals, line.principal: known})


def _proved(state: State, line: wire.Proved) -> State:
    if line.failure is None:
        return state
    key = (line.registry, line.by)
    return replace(state, proof_failures={**state.proof_failures, key: state.proof_failures.get(key, 0) + 1})


def _lives_of(state: State, principal: str, aws_now: float) -> list[float]:
    slots = state.plan.slots if state.plan else ()
    mine = (state.slots[slot.id].held_until for slot in slots if slot.principal == principal)
    return [until - aws_now for until in mine if until is not None]


def _delivered(state: State, line: wire.Delivered, now: float) -> State:
    slot_id = (line.sink, line.registry)
    known, tally = state.slots.get(slot_id), state.tallies.get(slot_id)
    if known is None or tally is None:
        return state
    if line.outcome is Outcome.FAILED:
        failure = line.failure or Failure(Reason.INTERNAL, "no reason was given")
        if not line.attempted:
            return not_fetched(state, slot_id, failure, now)
        return failed(state, slot_id, failure, now, line.duration_s)
    written = line.outcome is Outcome.WRITTEN
    distinct = written and line.token != known.token
    tally = replace(
        tally,
        attempts=tally.attempts + written,
        skipped=tally.skipped + (line.outcome is Outcome.SKIPPED),
        repaired=tally.repaired + line.repaired,
        distinct=tally.distinct + distinct,
        timed=tally.timed + written,
        seconds=tally.seconds + (line.duration_s if written else 0.0),
    )
    known = replace(
        known,
        held_until=line.until,
        expected_until=line.until,
        life=line.life if written else _life_held(state, known, line, now),
        outcome=line.outcome,
        delivered_at=state.aws_time(now) if written else known.delivered_at,
        token=line.token if written else known.token,
        tries=0,
        failure=None,
        retry_boot=None,
        repaired_boot=now if line.repaired else known.repaired_boot,
        look_boot=_look_after(state, slot_id, now, written=written),
    )
    state = replace(state, tallies={**state.tallies, slot_id: tally})
    if line.witness is not None and written:
        # To the file's other slots our own write is not somebody else's, if they knew the file as this one did.
        seen, slots = known.witness, state.slots
        same = {other for other, held in slots.items() if other[0] == line.sink and held.witness == seen}
        state = replace(
            state, slots={**slots, **{other: replace(slots[other], witness=line.witness) for other in same}}
        )
    return with_slot(state, slot_id, replace(known, witness=line.witness or known.witness))


def not_fetched(state: State, slot_id: SlotId, failure: Failure, now: float) -> State:
    """Book a failed fetch as the slot's failure; all slots of the principal are tried again together."""
    known, aws_now = state.slots[slot_id], state.aws_time(now)
    slot = next((slot for slot in state.plan.slots if slot.id == slot_id), None) if state.plan else None
    principal = state.principals.get(slot.principal if slot else "", PrincipalState())
    left, tries = (known.held_until or 0.0) - aws_now, max(principal.tries, 1)
    if principal.retry_boot is None:
        pause = schedule.retry_pause(failure, tries, left, state.rules, draw(state, slot and slot.principal, tries))
    else:  # drawn when the fetch failed; this slot may have less life left than those that were known then
        pause = schedule.hurried(principal.retry_boot - now, left)
    known = replace(
        known, tries=tries, outcome=Outcome.FAILED, failure=failure, failed_at=aws_now, retry_boot=now + pause
    )
    return with_slot(state, slot_id, known)


def failed(state: State, slot_id: SlotId, failure: Failure, now: float, duration_s: float = 0.0) -> State:
    """Book a failed delivery, and plan the next try; slots of one Airflow are tried again together."""
    known, tally = state.slots[slot_id], state.tallies[slot_id]
    aws_now, tries = state.aws_time(now), known.tries + 1
    left = (known.held_until or 0.0) - aws_now
    group = slot_id[0].rsplit("/", 1)[0] if slot_id[0].startswith("airflow/") else slot_id
    pause = schedule.retry_pause(failure, tries, left, state.rules, draw(state, group, tries, state.jobs))
    retry_boot = max(now + pause, _held_back(state, group))
    known = replace(
        known, tries=tries, outcome=Outcome.FAILED, failure=failure, failed_at=aws_now, retry_boot=retry_boot
    )
    tally = replace(
        tally,
        attempts=tally.attempts + 1,
        failures=tally.with_failure(failure.reason),
        timed=tally.timed + 1,
        seconds=tally.seconds + duration_s,
    )
    state = with_slot(replace(state, tallies={**state.tallies, slot_id: tally}), slot_id, known)
    return _hold_back(state, group, now + pause) if failure.login_refused else state


def _held_back(state: State, group: object) -> float:
    """Until when a login that was refused to another slot of that Airflow holds all of them back."""
    refused = (
        known.retry_boot or 0.0
        for (sink, _), known in state.slots.items()
        if sink.rsplit("/", 1)[0] == group and known.failure is not None and known.failure.login_refused
    )
    return max(refused, default=0.0)


def _hold_back(state: State, group: object, until_boot: float) -> State:
    """After a refused login no slot of that Airflow tries again before this: one account, one count of tries."""
    mine = [slot_id for slot_id in state.slots if slot_id[0].rsplit("/", 1)[0] == group]
    held = {
        slot_id: replace(state.slots[slot_id], retry_boot=max(until_boot, state.slots[slot_id].retry_boot or 0.0))
        for slot_id in mine
    }
    return replace(state, slots={**state.slots, **held})
