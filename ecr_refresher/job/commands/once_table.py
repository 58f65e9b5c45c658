"""The result of `once`: a table for people, a document for machines. Pure."""

from __future__ import annotations

from typing import Any

from ...core.model import Failure, Outcome
from ...core.phrases import when
from ...core.plan import Slot
from ...core.printable import printable
from ...core.times import rfc3339
from ...terminal import Paint, columns
from .pass_report import FRESH, WOULD_WRITE, PassReport

NAMED_MAX = 3  # sinks that failed alike
_GOOD = {FRESH, *Outcome} - {Outcome.FAILED}


def document(report: PassReport, status: int, warnings: list[str]) -> dict[str, Any]:
    """Return the result for machines."""
    return {
        "status": status,
        "dry_run": report.dry_run,
        "slots": [_entry(report, slot) for slot in (report.plan.slots if report.plan else ())],
        "warnings": warnings,
    }


def _entry(report: PassReport, slot: Slot) -> dict[str, Any]:
    became = report.slots[slot.id]
    failure = became.failure
    return {
        "sink": slot.sink,
        "registry": slot.registry,
        "required": slot.required,
        "outcome": str(became.outcome).replace(" ", "_"),
        "held_until": rfc3339(became.until) if became.until else None,
        "error": failure and {"reason": str(failure.reason), "message": failure.message, "fix": failure.fix or None},
    }


def table(report: PassReport, warnings: list[str], now: float, paint: Paint) -> str:
    """A row for each slot, then each failure once with the sinks that met it, then warnings."""
    slots = report.plan.slots if report.plan else ()
    several = len({slot.registry for slot in slots}) > 1
    head = ("SINK", "OUTCOME", "HELD UNTIL", *(["REGISTRY"] if several else []))
    rows = [(*_row(report, slot, now, paint), *([printable(slot.registry)] if several else [])) for slot in slots]
    lines = columns([tuple(paint(title, "dim") for title in head), *rows])
    failed: dict[Failure, list[str]] = {}
    for slot in slots:
        if failure := report.slots[slot.id].failure:
            failed.setdefault(failure, []).append(slot.sink)
    for failure, sinks in failed.items():
        lines.append(f"{paint(str(failure.reason), 'bad')}: {printable(f'{failure.message} ({_named(sinks)})')}")
        lines += [f"  fix: {printable(failure.fix)}"] if failure.fix else []
    return "\n".join([*lines, *(f"{paint('warning', 'warning')}: {printable(one)}" for one in warnings)])


def _row(report: PassReport, slot: Slot, now: float, paint: Paint) -> tuple[str, str, str]:
    became = report.slots[slot.id]
    sink, outcome = printable(slot.sink), str(became.outcome)
    until = f"{rfc3339(became.until)}, {when(became.until, now)}" if became.until else "-"
    if became.failure:
        return sink, paint("failed", "bad"), until
    if report.dry_run and outcome == WOULD_WRITE:
        return sink, paint(f"{outcome} ({became.why})", "warning"), until
    return sink, paint(outcome, "good") if outcome in _GOOD else outcome, until


def _named(sinks: list[str]) -> str:
    """The first sinks by name: sixty connections of one Airflow fail alike."""
    more = len(sinks) - NAMED_MAX
    return ", ".join(sinks[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
