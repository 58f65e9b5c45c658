"""What one pass in the foreground did, from its report lines, and whether that is good enough."""

from __future__ import annotations

from dataclasses import dataclass, field

from ... import logs
from ...core import wire
from ...core.exits import EXIT_DONE, EXIT_FAILED
from ...core.model import Failure, Outcome
from ...core.plan import Plan
from ...core.times import rfc3339

GOOD_FOR_S = 1800.0  # a failure does no harm yet while the slot's credential lives this much longer
UNKNOWN, FRESH, WOULD_WRITE = "unknown", "fresh", "would write"


@dataclass(slots=True)
class SlotReport:
    """What became of one slot."""

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
                self.slots = {slot.id: SlotReport() for slot in line.plan.slots}
            case wire.Refused():
                logs.tell_settings_errors(line.errors)
            case wire.Clock():
                self.offset = line.offset
            case wire.Looked():
                slot = self.slots[line.sink, line.registry]
                self._looked += slot.outcome == UNKNOWN
                self._needed += line.needed
                slot.until, slot.outcome, slot.why = line.until, WOULD_WRITE if line.needed else FRESH, line.why
            case wire.Delivered():
                slot = self.slots[line.sink, line.registry]
                self._looked += slot.outcome == UNKNOWN
                self._served += slot.outcome == WOULD_WRITE
                slot.outcome, slot.failure = line.outcome, line.failure
                slot.until = slot.until if line.outcome is Outcome.FAILED else line.until
            case _:
                pass

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
        for slot in self.plan.slots if self.plan else ():
            failure, until = self.slots[slot.id].failure, self.slots[slot.id].until
            if failure is None:
                continue
            left = (until or 0.0) - now
            if strict or (slot.required and left < GOOD_FOR_S):
                status = EXIT_FAILED
            else:
                still = f"its credential is good until {rfc3339(until)}" if until and left > 0 else "it is not required"
                warnings.append(f"{slot.sink} ({slot.registry}) failed, but {still}")
        return status, warnings
