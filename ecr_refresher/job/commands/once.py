"""`once`: one pass in the foreground, for init containers, cron and Jobs; what it prints."""

from __future__ import annotations

from typing import Any

from ...boot_clock import boot_time
from ...core import budgets, wire
from ...core.exits import EXIT_DONE
from ...core.model import Failure, Outcome
from ...core.phrases import when
from ...core.plan import Slot
from ...core.times import rfc3339
from ...terminal import BAD, GOOD, WARNING, Block, Progress, Table, Words
from ..aws.clock import AwsClock
from ..refresh.run import execute
from .foreground import SETTINGS_REFUSED, Result
from .pass_report import FRESH, WOULD_WRITE, PassReport

NAMED_MAX = 3  # sinks that failed alike
_GOOD = {FRESH, *Outcome} - {Outcome.FAILED}


def run(load: wire.Load, progress: Progress, *, force: bool, dry_run: bool, strict: bool) -> Result:
    """Do the pass."""
    report = PassReport(dry_run)

    def take(line: wire.Line) -> None:
        report.take(line)
        progress.show(report.progress())

    job = wire.Job(1, boot_time() + budgets.DEADLINE_MAX_S, load=load, force=force, dry_run=dry_run)
    progress.show(report.progress())
    if execute(job, take) != EXIT_DONE:
        return SETTINGS_REFUSED
    now = AwsClock(report.offset).now()
    status, warnings = report.verdict(now, strict=strict)
    return Result(status, page(report, warnings, now), document(report, status, warnings))


def document(report: PassReport, status: int, warnings: list[str]) -> dict[str, Any]:
    """Return the result for machines."""
    slots = []
    for slot in report.plan.slots if report.plan else ():
        became = report.slots[slot.id]
        error = became.failure and {key: getattr(became.failure, key) or None for key in ("reason", "message", "fix")}
        slots.append(
            {
                "sink": slot.sink,
                "registry": slot.registry,
                "required": slot.required,
                "outcome": became.outcome.replace(" ", "_"),
                "held_until": rfc3339(became.until) if became.until else None,
                "error": error,
            }
        )
    return {"status": status, "dry_run": report.dry_run, "slots": slots, "warnings": warnings}


def page(report: PassReport, warnings: list[str], now: float) -> list[Block]:
    """A row for each slot, then each failure once with the sinks that met it, then warnings."""
    slots = report.plan.slots if report.plan else ()
    several = len({slot.registry for slot in slots}) > 1
    head = ("SINK", "OUTCOME", "HELD UNTIL", "REGISTRY")[: 3 + several]
    blocks: list[Block] = [Table([_row(report, slot, now)[: 3 + several] for slot in slots], head)]
    failed: dict[Failure, list[str]] = {}
    for slot in slots:
        if failure := report.slots[slot.id].failure:
            failed.setdefault(failure, []).append(slot.sink)
    for failure, sinks in failed.items():
        blocks.append([(str(failure.reason), BAD), f": {failure.message} ({_named(sinks)})"])
        blocks += [f"  fix: {failure.fix}"] if failure.fix else []
    for warning in warnings:
        blocks.append([("warning", WARNING), f": {warning}"])
    return blocks


def _row(report: PassReport, slot: Slot, now: float) -> tuple[Words, ...]:
    became = report.slots[slot.id]
    outcome: Words = str(became.outcome)
    if became.failure:
        outcome = ("failed", BAD)
    elif report.dry_run and became.outcome == WOULD_WRITE:
        outcome = (f"{became.outcome} ({became.why})", WARNING)
    elif became.outcome in _GOOD:
        outcome = (str(became.outcome), GOOD)
    until = f"{rfc3339(became.until)}, {when(became.until, now)}" if became.until else "-"
    return slot.sink, outcome, until, slot.registry


def _named(sinks: list[str]) -> str:
    """The first sinks by name: sixty connections of one Airflow fail alike."""
    more = len(sinks) - NAMED_MAX
    return ", ".join(sinks[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
