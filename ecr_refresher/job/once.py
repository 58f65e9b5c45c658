"""One pass in the foreground, for init containers, cron and Jobs; says what was done, and whether that will do."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from .. import logs
from ..core import wire
from ..core.model import Failure, Outcome
from ..core.plan import Plan, Slot
from .clock import AwsClock, boot_time
from .refresh import rfc3339
from .worker import EXIT_DONE, EXIT_SETTINGS, execute

EXIT_FAILED = 1
GOOD_FOR_S = 1800.0  # a failure is not worth failing for while what is held lives this much longer
LIMIT_S = 60.0
WOULD_WRITE = "would write"


@dataclass(slots=True)
class Finding:
    """What became of one slot."""

    until: float | None = None
    outcome: str = "unknown"
    why: str = ""
    failure: Failure | None = None


@dataclass(slots=True)
class Account:
    """Takes in the report lines of one pass; the lines are those that a daemon would get."""

    force: bool = False
    dry_run: bool = False
    plan: Plan | None = None
    offset: float | None = None
    fetch_failures: dict[str, Failure] = field(default_factory=dict)
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)

    def take(self, line: wire.Line) -> None:
        match line:
            case wire.Planned():
                self.plan = line.plan
                self.findings = {slot.id: Finding() for slot in line.plan.slots()}
            case wire.Refused():
                logs.tell_settings_errors(line.errors)
            case wire.Clock():
                self.offset = line.offset
            case wire.Looked():
                outcome = WOULD_WRITE if line.needed else "fresh"
                self.findings[line.sink, line.registry] = Finding(line.until, outcome, line.why)
            case wire.Fetched():
                if line.failure is not None:
                    self.fetch_failures[line.principal] = line.failure
            case wire.Delivered():
                finding = self.findings[line.sink, line.registry]
                finding.outcome, finding.failure = line.outcome, line.failure
                finding.until = line.until if line.outcome is not Outcome.FAILED else finding.until
            case _:
                pass

    def failure_of(self, slot: Slot) -> Failure | None:
        """Why a slot got nothing: its own failure, or that of the fetch that it waited for."""
        finding = self.findings[slot.id]
        if finding.failure is not None or finding.outcome != WOULD_WRITE or self.dry_run:
            return finding.failure
        return self.fetch_failures.get(slot.principal)

    def verdict(self, now: float, *, strict: bool) -> tuple[int, list[str]]:
        """The exit status, and warnings for what failed but does no harm yet."""
        warnings: list[str] = []
        status = EXIT_DONE
        for slot in self.plan.slots() if self.plan else ():
            failure, until = self.failure_of(slot), self.findings[slot.id].until
            if failure is None:
                continue
            left = (until or 0.0) - now
            if strict or (slot.required and left < GOOD_FOR_S):
                status = EXIT_FAILED
            else:
                still = f"what it holds is good until {rfc3339(until)}" if until and left > 0 else "it is not required"
                warnings.append(f"{slot.sink} ({slot.registry}) failed, but {still}")
        return status, warnings


def run(load: wire.Load, *, force: bool, dry_run: bool, strict: bool) -> tuple[int, str, dict[str, Any]]:
    """Do the pass; gives the exit status, the table for people and the document for machines."""
    account = Account(force, dry_run)
    job = wire.Job(1, boot_time() + LIMIT_S, load=load, force=force, dry_run=dry_run)
    if execute(job, account.take) != EXIT_DONE:
        return EXIT_SETTINGS, "", {"error": "the settings are wrong; see standard error"}
    now = AwsClock(account.offset).now()
    status, warnings = account.verdict(now, strict=strict)
    return status, _table(account, warnings), _document(account, status, warnings)


def _document(account: Account, status: int, warnings: list[str]) -> dict[str, Any]:
    slots = []
    for slot in account.plan.slots() if account.plan else ():
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


def _table(account: Account, warnings: list[str]) -> str:
    rows = [("SINK", "REGISTRY", "OUTCOME", "HELD UNTIL")]
    notes = []
    for slot in account.plan.slots() if account.plan else ():
        finding, failure = account.findings[slot.id], account.failure_of(slot)
        outcome = "failed" if failure else str(finding.outcome)
        if account.dry_run and not failure and outcome == WOULD_WRITE:
            outcome = f"{outcome} ({finding.why})"
        rows.append((slot.sink, slot.registry, outcome, rfc3339(finding.until) if finding.until else "-"))
        if failure:
            notes.append(f"{slot.sink}: {failure.reason}: {failure.message}")
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *notes, *(f"warning: {warning}" for warning in warnings)])


def dump(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2)
