"""What the daemon reports about itself: the probes and `/status`. Pure: computed from the state when asked.

`now` is on the boot clock, `mono` on the monotonic one, everything that is returned on AWS's.
"""

from dataclasses import dataclass
from typing import Any

from ... import __version__
from ...core import times, wire
from ...core.model import Failure, Outcome
from ...core.plan import Cleanup, Registry, Slot
from ...core.printable import printable
from ..machine.due import life_of, renew_at, slot_next
from ..machine.state import State

TIME_MAX = 2.0**37  # seconds; the years that follow have more than four digits


@dataclass(frozen=True, slots=True)
class Probe:
    """The answer to a probe, with the checks behind it: the name of each, and why it failed, None where it did not."""

    ok: bool
    checks: list[tuple[str, str | None]]

    def verbose(self) -> str:
        lines = [f"[+]{name} ok" if why is None else f"[-]{name} failed: {why}" for name, why in self.checks]
        return "".join(f"{printable(line)}\n" for line in [*lines, "passed" if self.ok else "failed"])


def livez(state: State, mono: float) -> Probe:
    ok = state.live(mono)
    return Probe(ok, [("loop", None if ok else f"last turn {mono - state.turned_mono:.0f} s ago")])


def readyz(state: State, now: float) -> Probe:
    """Shows every slot; only the required ones decide."""
    checks = [(slot.sink, None if state.holds(slot, now) else _why_not(state, slot)) for slot in state.plan.slots]
    if not state.loaded:
        checks.append(("settings", "not read yet"))
    if state.stopping:
        checks.append(("running", "stopping"))
    return Probe(state.ready(now), checks)


def startupz(state: State, now: float) -> Probe:
    ok = state.started(now)
    return Probe(ok, [("startup", None if ok else "the first pass is running")])


def status(state: State, now: float, mono: float) -> dict[str, Any]:
    """The document at `/status`; times are RFC 3339 in UTC."""
    document: dict[str, Any] = {
        "version": __version__,
        "now": _time(state.aws_time(now)),
        "started_at": _time(state.aws_time(state.started_boot)),
        "ready": state.ready(now),
        "live": state.live(mono),
        "clock_skew_seconds": None if state.skew is None else round(state.skew, 3) + 0.0,  # + 0.0: never -0.0
        "registries": [_registry(state, registry) for registry in state.plan.registries],
        "slots": [_slot(state, slot, now) for slot in state.plan.slots],
    }
    if state.plan.cleanup.enabled:
        document["cleanup"] = _cleanup(state, state.plan.cleanup, now)
    return document


def token_expiry(state: State, registry: Registry) -> float | None:
    """When the newest token of a registry expires: the last one fetched, or one found in its slots."""
    principal = state.principals.get(registry.principal.key)
    found = [state.slots[slot.id].held_until for slot in state.plan.by_registry[registry.name]]
    return max((until for until in [*found, principal.expires_at if principal else None] if until), default=None)


def token_renewal(state: State, registry: Registry) -> float | None:
    """When the first of a registry's slots is due for renewal."""
    planned = [renew_at(state, slot) for slot in state.plan.by_registry[registry.name]]
    return min((at for at in planned if at is not None), default=None)


def _time(at: float | None) -> str | None:
    """RFC 3339; None for a time that is not known (None or 0) or that no calendar has."""
    return times.rfc3339(at) if at and abs(at) < TIME_MAX else None


def _why_not(state: State, slot: Slot) -> str:
    known = state.slots[slot.id]
    if known.failure is not None:
        return str(known.failure.reason)
    if known.held_until is None:
        return "not looked at yet"
    return "expired" if known.held_until else "no usable credential"


def _registry(state: State, registry: Registry) -> dict[str, Any]:
    principal = state.principals.get(registry.principal.key)
    return {
        "name": registry.name,
        "host": registry.host or None,
        "expires_at": _time(token_expiry(state, registry)),
        "renew_at": _time(token_renewal(state, registry)),
        "last_success_at": _time(principal.last_success_at) if principal else None,
        "last_error": _error(principal.failure, principal.failed_at) if principal else None,
    }


def _slot(state: State, slot: Slot, now: float) -> dict[str, Any]:
    known = state.slots[slot.id]
    next_step, next_boot = slot_next(state, slot)
    return {
        "sink": slot.sink,
        "kind": slot.kind,
        "target": slot.target,
        "registry": slot.registry,
        "required": slot.required,
        "issued_at": _time(known.held_until - life_of(state, slot)) if known.held_until else None,
        "held_until": _time(known.held_until),
        "renew_at": _time(renew_at(state, slot)),
        "outcome": Outcome.FAILED if known.failure is not None else known.outcome,
        "delivered_at": _time(known.delivered_at),
        "last_error": _error(known.failure, known.failed_at),
        "next": next_step,
        "next_at": _time(state.aws_time(max(now, next_boot))),
    }


def _cleanup(state: State, rules: Cleanup, now: float) -> dict[str, Any]:
    """The last cleanup; of a dry run, what it would have removed. Sizes in bytes."""
    cleaning, last = state.cleaning, state.cleaning.last
    swept = last.swept or wire.Swept(ended=False)
    share = swept.disk_used / swept.disk_total if swept.disk_used is not None and swept.disk_total else None
    next_boot = cleaning.next_boot(rules) if cleaning.sweep is None else now
    kinds = ("container", "image")
    return {
        "engine": rules.engine.url,
        "dry_run": rules.dry_run,
        "listening": cleaning.hears,
        "last_run_at": _time(last.at),
        "last_success_at": _time(cleaning.last_success_at),
        "duration_seconds": swept.duration_s if last.at else None,
        "removed": {kind: last.removed.get(kind, 0) for kind in kinds} | {"bytes": last.freed},
        "removed_total": {kind: cleaning.removed.get(kind, 0) for kind in kinds} | {"bytes": cleaning.freed},
        "disk_used_ratio": None if share is None else round(share, 4),
        "disk_used_bytes": swept.disk_used,
        "image_bytes": swept.image_bytes,
        "images": swept.images if last.at else None,
        "protected": {why: count for why, count in swept.protected.items() if count},
        "mark_exceeded": swept.short,
        "last_error": _error(cleaning.failure, cleaning.failed_at),
        "next_at": _time(state.aws_time(max(now, next_boot))),
    }


def _error(failure: Failure | None, at: float | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {"reason": failure.reason, "message": failure.message, "fix": failure.fix, "at": _time(at)}
