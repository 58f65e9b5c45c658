"""What `once` did: a table for people, a document for machines. Pure."""

from __future__ import annotations

from typing import Any

from ...core import phrases
from ...core.model import Failure, Outcome
from ...core.plan import Slot
from ...core.times import rfc3339
from ...terminal import Paint, columns
from .pass_report import FRESH, WOULD_WRITE, Account

NAMED_MAX = 3  # sinks that failed alike
_GOOD = {FRESH, *Outcome} - {Outcome.FAILED}


def document(account: Account, status: int, warnings: list[str]) -> dict[str, Any]:
    slots = []
    for slot in account.plan.slots if account.plan else ():
        finding, failure = account.findings[slot.id], account.failure_of(slot)
        error = None if failure is None else {"reason": str(failure.reason), "message": failure.message}
        slots.append(
            {
                "sink": slot.sink,
                "registry": slot.registry,
                "required": slot.required,
                "outcome": "failed" if failure else str(finding.outcome).replace(" ", "_"),
                "held_until": rfc3339(finding.until) if finding.until else None,
                "error": error,
            }
        )
    return {"status": status, "dry_run": account.dry_run, "slots": slots, "warnings": warnings}


def table(account: Account, warnings: list[str], now: float, paint: Paint) -> str:
    """A row for each slot, then each failure once with all that failed so, then warnings."""
    slots = account.plan.slots if account.plan else ()
    several = len({slot.registry for slot in slots}) > 1
    head = ("SINK", "OUTCOME", "HELD UNTIL", *(["REGISTRY"] if several else []))
    rows = [(*_row(account, slot, now, paint), *([slot.registry] if several else [])) for slot in slots]
    failed: dict[Failure, list[str]] = {}
    for slot in slots:
        if failure := account.failure_of(slot):
            failed.setdefault(failure, []).append(slot.sink)
    errors = [
        f"{paint(str(failure.reason), 'bad')}: {failure.message} ({_named(sinks)})" for failure, sinks in failed.items()
    ]
    noted = [f"{paint('warning', 'warning')}: {warning}" for warning in warnings]
    return "\n".join([*columns([tuple(paint(title, "dim") for title in head), *rows]), *errors, *noted])


def _row(account: Account, slot: Slot, now: float, paint: Paint) -> tuple[str, str, str]:
    finding = account.findings[slot.id]
    until = f"{rfc3339(finding.until)}, {phrases.when(finding.until, now)}" if finding.until else "-"
    if account.failure_of(slot):
        return slot.sink, paint("failed", "bad"), until
    outcome = str(finding.outcome)
    if account.dry_run and outcome == WOULD_WRITE:
        return slot.sink, paint(f"{outcome} ({finding.why})", "warning"), until
    return slot.sink, paint(outcome, "good") if outcome in _GOOD else outcome, until


def _named(sinks: list[str]) -> str:
    """The first of them by name: sixty connections of one Airflow fail alike."""
    more = len(sinks) - NAMED_MAX
    return ", ".join(sinks[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
