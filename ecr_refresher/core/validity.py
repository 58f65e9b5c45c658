"""Of which registries a credential is valid now, wherever it is needed: their images can be pulled again."""

from __future__ import annotations

from collections.abc import Mapping

from .plan import Plan


def valid_hosts(plan: Plan, held_until: Mapping[tuple[str, str], float | None], now: float) -> tuple[str, ...]:
    """The hosts of registries of which at least one slot, and each required one, holds an unexpired credential."""
    found = []
    for registry in plan.registries:
        slots = [slot for slot in plan.slots if slot.registry in (registry.name, registry.alias_of)]
        holds = {slot.id: (held_until.get(slot.id) or 0.0) > now for slot in slots}
        if registry.host and any(holds.values()) and all(holds[slot.id] for slot in slots if slot.required):
            found.append(registry.host)
    return tuple(found)
