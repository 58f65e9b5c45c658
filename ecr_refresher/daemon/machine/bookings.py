"""Books a worker's report lines into the state. Pure.

`book` copies the state once for all lines of a batch. The functions below it change the maps of that copy in place.
"""

from dataclasses import replace

from ...core import schedule, wire
from ...core.model import Failure, Outcome, Reason
from ...core.plan import Slot
from .due import draw
from .events import Adopt, Exit, Reported, Say
from .state import RECHECK_S, REPAIR_EVERY_S, TOGETHER_S, PrincipalState, SlotState, State, counted

SKEW_LOUD_S = 300.0
OUR_FAULT = "Report it: this is a fault of ecr-refresher"


def book(state: State, reported: Reported, now: float) -> State:
    """Book lines of the running pass; ignore those of a worker that is already given up."""
    if state.running is None or reported.job != state.running.job.id:
        return state
    state = state.copy()
    for line in reported.lines:
        state = _line(state, line, now)
    return state


def _line(state: State, line: wire.Line, now: float) -> State:
    slot = state.plan.by_id.get((line.sink, line.registry)) if isinstance(line, wire.Looked | wire.Delivered) else None
    match line:
        case wire.Planned():
            return _planned(state, line, now)
        case wire.Refused():
            return _refused(state, line)
        case wire.Clock():
            return replace(skewed(state, line.skew), offset=line.offset, offset_measured=True)
        case wire.Proved() if line.failure is not None:
            return replace(state, proof_failures=counted(state.proof_failures, (line.registry, line.by)))
        case wire.Done() if state.running is not None:
            return replace(state, running=replace(state.running, done=True))
        case wire.Fetched():
            _fetched(state, line, now)
        case wire.Looked() if slot is not None:
            _looked(state, slot, line, now)
        case wire.Delivered() if slot is not None:
            _delivered(state, slot, line, now)
    return state


# --- settings and clock ----------------------------------------------------------------------------------------------
def _planned(state: State, line: wire.Planned, now: float) -> State:
    plan, running, changed = line.plan, state.running, line.plan != state.plan
    slots = {slot.id: state.slots.get(slot.id) or SlotState(look_boot=now) for slot in plan.slots}
    if changed:
        state = state.then(Adopt(plan))
    if running is not None:
        if running.loads and state.loaded:
            state = replace(state, reloads_ok=state.reloads_ok + 1, last_reload_ok=True)
            state = state.then(Say("info", "settings_reloaded", {"changed": changed}))
        still_open = (running.open & slots.keys()) | (slots.keys() - state.slots.keys())
        running = replace(running, open=still_open, loads=False)
    if plan.settings_file and line.witness:
        state.files[plan.settings_file] = line.witness
    return replace(
        state,
        plan=plan,
        slots=slots,
        principals={key: state.principals.get(key) or PrincipalState() for key in plan.by_principal},
        running=running,
        own_hosts={**state.own_hosts, **line.own_hosts},
        load_tries=0,
    )


def _refused(state: State, line: wire.Refused) -> State:
    if not state.loaded:
        return state.then(Exit(2, line.errors))
    fix = "Correct the settings; until then the old ones stay in force"
    running = state.running and replace(state.running, loads=False, refused=True)
    state = replace(state, running=running, load_tries=0, reloads_failed=state.reloads_failed + 1, last_reload_ok=False)
    return state.then(Say("error", "settings_refused", {"error": "; ".join(line.errors), "fix": fix}))


def skewed(state: State, skew: float | None) -> State:
    """Note how far the wall clock is off AWS's; warn when that becomes too much."""
    if skew is not None and abs(skew) > SKEW_LOUD_S and (state.skew is None or abs(state.skew) <= SKEW_LOUD_S):
        error = f"the clock of this machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} AWS's"
        fix = "Set the clock (chrony, timedatectl): AWS refuses requests that are signed with a wrong one"
        state = state.then(Say("warning", "clock_skewed", {"skew_s": round(skew, 1), "error": error, "fix": fix}))
    return replace(state, skew=skew)


# --- tokens ----------------------------------------------------------------------------------------------------------
def _fetched(state: State, line: wire.Fetched, now: float) -> None:
    known = state.principals.get(line.principal)
    if known is None:
        return
    aws_now, tally = state.aws_time(now), known.tally.tried(line.duration_s, line.failure)
    if line.failure is None:
        known = PrincipalState(line.issued_at, line.expires_at, last_success_at=aws_now, tally=tally)
    else:
        tries = known.tries + 1
        mine = state.plan.by_principal[line.principal]
        left = min((left for slot in mine if (left := _left(state, slot, now)) > 0), default=0.0)
        roll = draw(state, line.principal, tries, state.jobs)
        known = replace(
            known,
            tries=tries,
            failure=line.failure,
            failed_at=aws_now,
            retry_boot=now + schedule.retry_pause(line.failure, tries, left, state.plan.refresh, roll),
            tally=tally,
        )
    state.principals[line.principal] = known


# --- slots -----------------------------------------------------------------------------------------------------------
def _looked(state: State, slot: Slot, line: wire.Looked, now: float) -> None:
    state.held_back.pop(slot.group, None)
    _saw_file(state, slot, line.witness, now)
    known = state.slots[slot.id]
    known = replace(known, held_until=line.until or 0.0, life=_life_held(state, known, line, now))
    state.slots[slot.id] = known
    if not line.needed:
        _close(state, slot, _good(state, slot, known, line.until, now))


def _delivered(state: State, slot: Slot, line: wire.Delivered, now: float) -> None:
    if line.outcome is Outcome.FAILED:
        failure = line.failure or Failure(Reason.INTERNAL, "the worker gave no reason", OUR_FAULT)
        if line.attempted:
            failed(state, slot, failure, now, line.duration_s)
        else:
            _not_fetched(state, slot, failure, now)
        return
    state.held_back.pop(slot.group, None)
    written = line.outcome is Outcome.WRITTEN
    if not written:
        _saw_file(state, slot, line.witness, now)
    elif line.witness is not None and slot.kind == "docker":
        state.files[slot.target] = line.witness  # our own write: no slot of the file needs a look
    known = state.slots[slot.id]
    tally = known.tally.tried(line.duration_s) if written else known.tally
    known = replace(
        _good(state, slot, known, line.until, now, written=written),
        held_until=line.until,
        own_until=line.until if written else known.own_until,
        life=line.life if written else _life_held(state, known, line, now),
        outcome=line.outcome,
        delivered_at=state.aws_time(now) if written else known.delivered_at,
        token=line.token if written else known.token,
        repaired_boot=now if line.repaired else known.repaired_boot,
        tally=replace(
            tally,
            skipped=tally.skipped + (line.outcome is Outcome.SKIPPED),
            repaired=tally.repaired + line.repaired,
            distinct=tally.distinct + (written and line.token != known.token),
        ),
    )
    _close(state, slot, known)


def _good(
    state: State, slot: Slot, known: SlotState, until: float | None, now: float, *, written: bool = False
) -> SlotState:
    """The slot holds a good credential: forget its failure, and plan the next look."""
    # A write that failed may have arrived: its answer was lost, or the worker died before it could report it.
    look_boot = _look_again(state, slot, now, written=written or known.failure is not None)
    return replace(known, expected_until=until, tries=0, failure=None, retry_boot=None, look_boot=look_boot)


def failed(state: State, slot: Slot, failure: Failure, now: float, duration_s: float = 0.0) -> None:
    """Book a failed delivery and plan the retry. Slots of one group retry together.

    After a refused login nothing of the group is tried earlier: it is one account, which must not be locked.
    """
    known = state.slots[slot.id]
    tries = known.tries + 1
    state.slots[slot.id] = replace(known, tally=known.tally.tried(duration_s, failure))
    roll = draw(state, slot.group, tries, state.jobs)
    pause = schedule.retry_pause(failure, tries, _left(state, slot, now), state.plan.refresh, roll)
    if failure.login_refused:
        state.held_back[slot.group] = max(now + pause, state.held_back.get(slot.group, 0.0))
    _fail(state, slot, failure, now, tries, pause)


def _not_fetched(state: State, slot: Slot, failure: Failure, now: float) -> None:
    """Book a failed fetch as the slot's failure. All slots of the principal retry together, with the fetch."""
    principal = state.principals[slot.principal]
    retry_boot = now + state.plan.refresh.retry_max if principal.retry_boot is None else principal.retry_boot
    # It was drawn without this slot's life, where that was not known yet.
    pause = schedule.hurried(retry_boot - now, _left(state, slot, now))
    _fail(state, slot, failure, now, max(principal.tries, 1), pause)


def _fail(state: State, slot: Slot, failure: Failure, now: float, tries: int, pause: float) -> None:
    known = replace(state.slots[slot.id], tries=tries, outcome=Outcome.FAILED, failure=failure)
    _close(state, slot, replace(known, failed_at=state.aws_time(now), retry_boot=now + pause))


def look_at_file(state: State, path: str, now: float) -> None:
    """Somebody else wrote the file: look at its slots, but not so soon that one is repaired twice in a minute."""
    for slot in state.plan.slots:
        if slot.kind == "docker" and slot.target == path:
            known = state.slots[slot.id]
            look_boot = min(known.look_boot, max(now, known.repaired_boot + REPAIR_EVERY_S))
            state.slots[slot.id] = replace(known, look_boot=look_boot)


def _saw_file(state: State, slot: Slot, witness: str | None, now: float) -> None:
    if witness is None or slot.kind != "docker":
        return
    if state.files.get(slot.target, witness) != witness:
        look_at_file(state, slot.target, now)
    state.files[slot.target] = witness


def _close(state: State, slot: Slot, known: SlotState) -> None:
    """This is the slot's outcome in the running pass."""
    state.slots[slot.id] = known
    if state.running is not None:
        state.running.open.discard(slot.id)


def _left(state: State, slot: Slot, now: float) -> float:
    return (state.slots[slot.id].held_until or 0.0) - state.aws_time(now)


def _look_again(state: State, slot: Slot, now: float, *, written: bool) -> float:
    """When to look at the slot again. Files are watched by their stat; servers have to be asked."""
    if slot.kind == "docker":
        return float("inf")
    if written:
        return now + RECHECK_S
    # Spread, so that a fleet that starts at once does not look at once for ever.
    verify = now + state.plan.refresh.verify_every * (0.9 + 0.2 * draw(state, "verify", slot.id, state.jobs))
    planned = state.slots[slot.id].look_boot
    # A look that was planned after a write stays planned, whatever else causes a look before it.
    return min(verify, planned) if planned > now + TOGETHER_S else verify


def _life_held(state: State, known: SlotState, line: wire.Looked | wire.Delivered, now: float) -> float | None:
    """The life of the credential that was found.

    It stays for a credential that is already known. For another daemon's it is the life of our own newest token, but
    at least what is left: that only on AWS's own time, since a clock that is behind makes everything seem to live
    longer, and renewals come too early.
    """
    if line.until is not None and line.until == known.held_until and known.life is not None:
        return known.life
    guess = line.life or known.life
    if guess is None or not state.offset_measured:
        return guess
    return max(guess, (line.until or 0.0) - state.aws_time(now))
