"""What trying a leg has shown: a verdict, the finding in one sentence, and the mend in the next. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from ...core.model import Failure, Reason


class Verdict(StrEnum):
    """How it stands with a leg; the table and the JSON use these very words."""

    OK = "ok"
    WARNING = "warning"  # works, or a pass will mend it; somebody should know
    FAILED = "failed"  # somebody must mend it
    NOT_TRIED = "not tried"  # what it stands on has failed


_GENERAL = {
    Reason.TRANSIENT: "try again; if it lasts, look at the other side",
    Reason.THROTTLED: "wait a while, and find out who asks so much",
    Reason.DENIED: "grant the right, or correct the login",
    Reason.INVALID: "correct it in the settings",
    Reason.MISSING: "create it",
    Reason.INTERNAL: "please report it",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `mend` is there unless all is well."""

    verdict: Verdict
    text: str
    mend: str | None = None


def ok(text: str) -> Finding:
    return Finding(Verdict.OK, text)


def warning(text: str, mend: str) -> Finding:
    return Finding(Verdict.WARNING, text, mend)


def failed(text: str, mend: str) -> Finding:
    return Finding(Verdict.FAILED, text, mend)


def of_failure(failure: Failure) -> Finding:
    """The finding of a failure; one without a fix of its own has it behind the first semicolon of its message."""
    text, mend = failure.message, failure.fix
    if not mend:
        text, _, mend = failure.message.partition("; ")
    return failed(text, mend or _GENERAL[failure.reason])


@dataclass(frozen=True, slots=True)
class Row:
    """One leg when it has been tried: which, of what, what was done, and what was found; the time in seconds."""

    leg: str
    subject: str
    tried: str
    findings: tuple[Finding, ...]
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """The worst of its findings."""
        order = (Verdict.NOT_TRIED, Verdict.FAILED, Verdict.WARNING)
        return next((one for one in order if any(each.verdict is one for each in self.findings)), Verdict.OK)


def softened(row: Row) -> Row:
    """The row of something that is not required: its failures are warnings."""

    def soft(finding: Finding) -> Finding:
        if finding.verdict is not Verdict.FAILED:
            return finding
        return replace(finding, verdict=Verdict.WARNING, text=f"{finding.text} (not required)")

    return replace(row, findings=tuple(soft(finding) for finding in row.findings))


def exit_status(rows: Iterable[Row]) -> int:
    """0 only if nothing failed."""
    return int(any(row.verdict is Verdict.FAILED for row in rows))
