"""What the daemon tells about itself: probes and `/status`. Pure: computed from the state at the moment of asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ... import __version__
from ...core import times, wire
from ...core.model import Failure, Outcome
from ...core.plan import Cleanup, Registry, Slot
from ..machine.state import State, holds, life_of, live, ready, renew_at, slot_next, started


@dataclass(frozen=True, slots=True)
class Probe:
    """An answer to a probe, and what it rests on."""

    ok: bool
    checks: tuple[tuple[str, bool, str], ...]  # name, passed, why not

    def verbose(self) -> str:
        lines = [
            f"[{'+' if passed else '-'}]{name} {'ok' if passed else f'failed: {why}'}"
            for name, passed, why in self.checks
        ]
        return "\n".join([*lines, f"{'passed' if self.ok else 'failed'}"]) + "\n"


def livez(state: State, mono: float) -> Probe:
    ok = live(state, mono)
    return Probe(ok, (("loop", ok, f"last turn {mono - state.turned_mono:.0f} s ago"),))


def readyz(state: State, now: float) -> Probe:
    """Every required slot counts; the others are shown, with no say."""
    checks = [(slot.sink, holds(state, slot, now), _why_not(state, slot)) for slot in _slots(state)]
    if state.plan is None:
        checks.append(("settings", False, "not read yet"))
    if state.stopping:
        checks.append(("running", False, "stopping"))
    return Probe(ready(state, now), tuple(checks))


def startupz(state: State, now: float) -> Probe:
    ok = started(state, now)
    return Probe(ok, (("startup", ok, "the first pass is under way"),))


def status(state: State, now: float, mono: float) -> dict[str, Any]:
    """The document at `/status`; times are RFC 3339 in UTC, on AWS's clock."""
    of = slots_by_registry(state)
    return {
        "version": __version__,
        "now": _moment(state.aws_time(now)),
        "started_at": _moment(state.aws_time(state.started_boot)),
        "ready": ready(state, now),
        "live": live(state, mono),
        "clock_skew_seconds": None if state.skew is None else round(state.skew, 3) + 0.0,  # no minus zero
        "registries": [
            _registry(state, registry, of[registry.name]) for registry in (state.plan.registries if state.plan else ())
        ],
        "slots": [_slot(state, slot, now) for slot in _slots(state)],
        **({"cleanup": _cleanup(state, now)} if state.plan and state.plan.cleanup.enabled else {}),
    }


def slots_by_registry(state: State) -> dict[str, list[Slot]]:
    """The slots of each registry by its name."""
    found: dict[str, list[Slot]] = {registry.name: [] for registry in (state.plan.registries if state.plan else ())}
    for slot in _slots(state):
        found[slot.registry].append(slot)
    return found


def token_expiry(state: State, registry: Registry, its: list[Slot]) -> float | None:
    """When the newest token for a registry ends: the last one fetched, or what its slots were found to hold."""
    principal = state.principals.get(registry.principal.key)
    held = [state.slots[slot.id].held_until for slot in its]
    known = [until for until in [*held, principal.expires_at if principal else None] if until]
    return max(known, default=None)


def token_renewal(state: State, its: list[Slot]) -> float | None:
    """When the first of the registry's slots is due for renewal."""
    planned = [renew_at(state, slot) for slot in its]
    return min((moment for moment in planned if moment is not None), default=None)


def _moment(moment: float | None) -> str | None:
    """A moment as text; None and 0 are not known."""
    return times.rfc3339(moment) if moment and abs(moment) < 2**37 else None


def _slots(state: State) -> tuple[Slot, ...]:
    return state.plan.slots if state.plan else ()


def _why_not(state: State, slot: Slot) -> str:
    known = state.slots[slot.id]
    if known.failure is not None:
        return str(known.failure.reason)
    if known.held_until is None:
        return "not looked at yet"
    return "expired" if known.held_until else "nothing usable there"


def _registry(state: State, registry: Registry, its: list[Slot]) -> dict[str, Any]:
    principal = state.principals.get(registry.principal.key)
    return {
        "name": registry.name,
        "host": registry.host or None,
        "expires_at": _moment(token_expiry(state, registry, its)),
        "renew_at": _moment(token_renewal(state, its)),
        "last_success_at": _moment(principal.last_success_at) if principal else None,
        "last_error": _error(principal.failure, principal.failed_at) if principal else None,
    }


def _slot(state: State, slot: Slot, now: float) -> dict[str, Any]:
    known = state.slots[slot.id]
    outcome = Outcome.FAILED if known.failure is not None else known.outcome
    next_step, next_boot = slot_next(state, slot)
    return {
        "sink": slot.sink,
        "kind": slot.kind,
        "target": slot.target,
        "registry": slot.registry,
        "required": slot.required,
        "issued_at": _moment(known.held_until - life_of(state, slot)) if known.held_until else None,
        "held_until": _moment(known.held_until),
        "renew_at": _moment(renew_at(state, slot)),
        "outcome": None if outcome is None else str(outcome),
        "delivered_at": _moment(known.delivered_at),
        "last_error": _error(known.failure, known.failed_at),
        "next": next_step,
        "next_at": _moment(state.aws_time(max(now, next_boot))),
    }


def _cleanup(state: State, now: float) -> dict[str, Any]:
    """The last cleanup; of a dry run, what would have been removed. Sizes in bytes."""
    cleaning, last = state.cleaning, state.cleaning.last
    swept = last.swept or wire.Swept(ended=False)
    rules = state.plan.cleanup if state.plan else Cleanup()
    share = swept.disk_used / swept.disk_total if swept.disk_used is not None and swept.disk_total else None
    next_boot = cleaning.next_boot(rules) if cleaning.sweep is None else now
    return {
        "engine": rules.engine.url,
        "dry_run": rules.dry_run,
        "listening": cleaning.hears,
        "last_run_at": _moment(last.at),
        "last_success_at": _moment(cleaning.last_success_at),
        "duration_seconds": swept.duration_s if last.at else None,
        "removed": {what: last.removed.get(what, 0) for what in ("container", "image")} | {"bytes": last.freed},
        "removed_total": {what: cleaning.removed.get(what, 0) for what in ("container", "image")}
        | {"bytes": cleaning.freed},
        "disk_used_ratio": None if share is None else round(share, 4),
        "disk_used_bytes": swept.disk_used,
        "image_bytes": swept.image_bytes,
        "images": swept.images if last.at else None,
        "protected": {why: count for why, count in swept.protected.items() if count},
        "mark_exceeded": swept.short,
        "last_error": _error(cleaning.failure, cleaning.failed_at),
        "next_at": _moment(state.aws_time(max(now, next_boot))),
    }


def _error(failure: Failure | None, at: float | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {"reason": str(failure.reason), "message": failure.message, "at": _moment(at)}
