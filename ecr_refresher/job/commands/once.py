"""`once`: one pass in the foreground, for init containers, cron and Jobs; and what became of each slot."""

from dataclasses import dataclass, field
from typing import Any

from ... import logs
from ...boot_clock import boot_time
from ...core import budgets, wire
from ...core.exits import EXIT_DONE, EXIT_FAILED
from ...core.model import Failure, Outcome
from ...core.phrases import when
from ...core.plan import Plan, Slot
from ...core.times import rfc3339
from ...terminal import BAD, GOOD, WARNING, Block, Progress, Table, Words
from ..aws.clock import AwsClock
from ..refresh.run import execute
from .foreground import SETTINGS_REFUSED, Result

GOOD_FOR_S = 1800.0  # a failure does no harm yet while the slot's credential lives this much longer
UNKNOWN, FRESH, WOULD_WRITE = "unknown", "fresh", "would write"
NAMED_MAX = 3  # sinks that failed alike
_GOOD = {FRESH, *Outcome} - {Outcome.FAILED}


@dataclass(slots=True)
class SlotReport:
    """What became of one slot."""

    slot: Slot
    until: float | None = None
    outcome: str = UNKNOWN
    why: str = ""
    failure: Failure | None = None


@dataclass(slots=True)
class PassReport:
    """Takes the report lines of one pass, the same that a daemon gets."""

    dry_run: bool = False
    plan: Plan | None = None
    offset: float | None = None
    slots: dict[tuple[str, str], SlotReport] = field(default_factory=dict)
    _looked: int = 0  # slots that were looked at; counted, because progress is asked for after each line
    _needed: int = 0  # of those, the slots that need a credential
    _served: int = 0  # of those, the slots that have their last word

    def take(self, line: wire.Line) -> None:
        match line:
            case wire.Planned():
                self.plan = line.plan
                self.slots = {slot.id: SlotReport(slot) for slot in line.plan.slots}
            case wire.Refused():
                logs.tell_settings_errors(line.errors)
            case wire.Clock():
                self.offset = line.offset
            case wire.Looked():
                one = self.slots[line.sink, line.registry]
                self._looked += one.outcome == UNKNOWN
                self._needed += line.needed
                one.until, one.outcome, one.why = line.until, WOULD_WRITE if line.needed else FRESH, line.why
            case wire.Delivered():
                one = self.slots[line.sink, line.registry]
                self._looked += one.outcome == UNKNOWN
                self._served += one.outcome == WOULD_WRITE
                one.outcome, one.failure = line.outcome, line.failure
                one.until = one.until if line.outcome is Outcome.FAILED else line.until

    def progress(self) -> str:
        """How far the pass is, in a few words."""
        if self.plan is None:
            return "reading the settings"
        if self._looked < len(self.slots):
            return f"looked at {self._looked} of {len(self.slots)}"
        return f"served {self._served} of {self._needed}" if self._needed and not self.dry_run else "done"

    def verdict(self, now: float, *, strict: bool) -> tuple[int, list[str]]:
        """Return the exit status, and a warning for each failure that does no harm yet."""
        warnings: list[str] = []
        status = EXIT_DONE
        for one in self.slots.values():
            if one.failure is None:
                continue
            until = one.until or 0.0
            if strict or (one.slot.required and until - now < GOOD_FOR_S):
                status = EXIT_FAILED
            else:
                still = f"its credential is good until {rfc3339(until)}" if until > now else "it is not required"
                warnings.append(f"{one.slot.sink} ({one.slot.registry}) failed, but {still}")
        return status, warnings


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
    slots = [
        {
            "sink": one.slot.sink,
            "registry": one.slot.registry,
            "required": one.slot.required,
            "outcome": one.outcome.replace(" ", "_"),
            "held_until": rfc3339(one.until) if one.until else None,
            "error": one.failure and {key: getattr(one.failure, key) or None for key in ("reason", "message", "fix")},
        }
        for one in report.slots.values()
    ]
    return {"status": status, "dry_run": report.dry_run, "slots": slots, "warnings": warnings}


def page(report: PassReport, warnings: list[str], now: float) -> list[Block]:
    """A row for each slot, then each failure once with the sinks that met it, then warnings."""
    slots = report.slots.values()
    several = len({one.slot.registry for one in slots}) > 1
    head = ("SINK", "OUTCOME", "HELD UNTIL", "REGISTRY")[: 3 + several]
    blocks: list[Block] = [Table([_row(one, now, dry_run=report.dry_run)[: 3 + several] for one in slots], head)]
    failed: dict[Failure, list[str]] = {}
    for one in slots:
        if one.failure:
            failed.setdefault(one.failure, []).append(one.slot.sink)
    for failure, sinks in failed.items():
        blocks.append([(str(failure.reason), BAD), f": {failure.message} ({_named(sinks)})"])
        blocks += [f"  fix: {failure.fix}"] if failure.fix else []
    for warning in warnings:
        blocks.append([("warning", WARNING), f": {warning}"])
    return blocks


def _row(one: SlotReport, now: float, *, dry_run: bool) -> tuple[Words, ...]:
    outcome: Words = str(one.outcome)
    if one.failure:
        outcome = ("failed", BAD)
    elif dry_run and one.outcome == WOULD_WRITE:
        outcome = (f"{one.outcome} ({one.why})", WARNING)
    elif one.outcome in _GOOD:
        outcome = (str(one.outcome), GOOD)
    until = f"{rfc3339(one.until)}, {when(one.until, now)}" if one.until else "-"
    return one.slot.sink, outcome, until, one.slot.registry


def _named(sinks: list[str]) -> str:
    """The first sinks by name: sixty connections of one Airflow fail alike."""
    more = len(sinks) - NAMED_MAX
    return ", ".join(sinks[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
