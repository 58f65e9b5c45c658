"""How healthy the daemon and its slots are: what the probes answer. Pure."""

from ...core.plan import Slot
from .state import STARTUP_GRACE_S, TURN_MAX_S, State


def holds(state: State, slot: Slot, now: float) -> bool:
    """Whether the slot holds an unexpired credential, as far as known."""
    until = state.slots[slot.id].held_until
    return until is not None and until > state.aws_time(now)


def ready(state: State, now: float) -> bool:
    """Whether every required slot holds an unexpired credential; false while stopping."""
    if not state.loaded or state.stopping:
        return False
    return all(holds(state, slot, now) for slot in state.plan.slots if slot.required)


def live(state: State, mono: float) -> bool:
    """Whether the loop turns. Nothing outside the process can make this false."""
    return mono - state.turned_mono <= 2 * TURN_MAX_S


def started(state: State, now: float) -> bool:
    """Whether other containers may start: the required files are served, a pass has ended, or a minute has passed."""
    if now - state.started_boot >= STARTUP_GRACE_S or state.passes > 0:
        return True
    files = [slot for slot in state.plan.slots if slot.kind == "docker" and slot.required]
    return bool(files) and all(holds(state, slot, now) for slot in files)
