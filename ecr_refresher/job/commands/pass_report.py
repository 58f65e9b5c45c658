"""What one pass in the foreground did: an account of its report lines, and whether that will do."""

from __future__ import annotations

from dataclasses import dataclass, field

from ... import logs
from ...core import wire
from ...core.exits import EXIT_DONE, EXIT_FAILED
from ...core.model import Failure, Outcome
from ...core.plan import Plan, Slot
from ...core.times import rfc3339

GOOD_FOR_S = 1800.0  # a failure is not worth failing for while what is held lives this much longer
UNKNOWN, FRESH, WOULD_WRITE = "unknown", "fresh", "would write"


@dataclass(slots=True)
class Finding:
    """What became of one slot."""

    until: float | None = None
    outcome: str = UNKNOWN
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
    _looked: int = 0  # slots of which something is known; counted, since it is asked for after each line
    _wanting: int = 0  # of those, the ones that want a credential, or wanted one
    _served: int = 0  # and the ones that have had their last word

    def take(self, line: wire.Line) -> None:
        match line:
            case wire.Planned():
                self.plan = line.plan
                self.findings = {slot.id: Finding() for slot in line.plan.slots}
            case wire.Refused():
                logs.tell_settings_errors(line.errors)
            case wire.Clock():
                self.offset = line.offset
            case wire.Looked():
                outcome = WOULD_WRITE if line.needed else FRESH
                self._looked += self.findings[line.sink, line.registry].outcome == UNKNOWN
                self._wanting += line.needed
                self.findings[line.sink, line.registry] = Finding(line.until, outcome, line.why)
            case wire.Fetched():
                if line.failure is not None:
                    self.fetch_failures[line.principal] = line.failure
            case wire.Delivered():
                finding = self.findings[line.sink, line.registry]
                self._looked += finding.outcome == UNKNOWN
                self._served += finding.outcome == WOULD_WRITE
                finding.outcome, finding.failure = line.outcome, line.failure
                finding.until = line.until if line.outcome is not Outcome.FAILED else finding.until
            case _:
                pass

    def progress(self) -> str:
        """How far it has come, for who looks on."""
        if self.plan is None:
            return "reading the settings"
        if self._looked < len(self.findings):
            return f"looked at {self._looked} of {len(self.findings)}"
        return f"served {self._served} of {self._wanting}" if self._wanting and not self.dry_run else "done"

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
        for slot in self.plan.slots if self.plan else ():
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
