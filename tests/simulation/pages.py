"""What `/metrics` and `/status` say, held against what the daemon was told."""

from __future__ import annotations

from collections.abc import Iterator

from ecr_refresher.daemon.machine.state import State
from ecr_refresher.daemon.web import metrics, view

from .world import SlotId

P = "ecr_refresher_"


def check_pages(
    known: State,
    now: float,
    mono: float,
    until: dict[SlotId, float],
    fetches: dict[str, int],
    written: dict[SlotId, int],
    repaired: dict[SlotId, int],
) -> Iterator[str]:
    """Yield every figure that is wrong."""
    figures = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in metrics.StateCollector(known, now).collect()
        for sample in family.samples
    }
    for slot in known.plan.slots:
        label = (("registry", slot.registry), ("sink", slot.sink))
        held = until.get(slot.id, 0.0)
        failed = sum(
            value
            for key, value in figures.items()
            if key[0] == f"{P}delivery_failures_total" and set(label) <= set(key[1:])
        )
        attempts = figures[f"{P}delivery_attempts_total", *label]
        expected = {
            f"{P}delivered_token_expiration_timestamp_seconds": held,
            f"{P}sink_ready": float(held > known.aws_time(now)),
            f"{P}drift_repaired_total": float(repaired.get(slot.id, 0)),
        }
        for name, value in expected.items():
            if figures[name, *label] != value:
                yield f"{name} of {slot.id} is {figures[name, *label]}, not {value}"
        if attempts < max(failed, written.get(slot.id, 0)):
            yield f"{attempts} deliveries to {slot.id}; {failed} failed, {written.get(slot.id, 0)} were told of"
    for registry in known.plan.registries:
        calls = figures[f"{P}refresh_attempts_total", ("registry", registry.name)]
        if calls != fetches.get(registry.principal.key, 0):
            yield f"{calls} fetches for {registry.name}, not {fetches.get(registry.principal.key, 0)}"
    page = view.status(known, now, mono)
    if page["ready"] != view.readyz(known, now).ok or len(page["slots"]) != len(known.slots):
        yield "/status and /readyz do not say the same"
