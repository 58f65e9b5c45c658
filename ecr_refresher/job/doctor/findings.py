"""What trying a leg has shown: a verdict, the finding and its fix. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from ...core.exits import EXIT_DONE, EXIT_FAILED
from ...core.model import Failure


class Verdict(StrEnum):
    """How a leg is; the table and the JSON use these words."""

    OK = "ok"
    WARNING = "warning"  # it works, or a pass will repair it; somebody should know
    FAILED = "failed"  # somebody must fix it
    NOT_TRIED = "not tried"  # a leg before it failed


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. It has a fix unless all is well."""

    verdict: Verdict
    text: str
    fix: str | None = None


def ok(text: str) -> Finding:
    return Finding(Verdict.OK, text)


def warning(text: str, fix: str) -> Finding:
    return Finding(Verdict.WARNING, text, fix)


def failed(text: str, fix: str) -> Finding:
    return Finding(Verdict.FAILED, text, fix)


def of_failure(failure: Failure) -> Finding:
    return failed(failure.message, failure.fix)


@dataclass(frozen=True, slots=True)
class Row:
    """One leg after it has been tried, and how many seconds it took."""

    leg: str
    subject: str
    tried: str
    findings: tuple[Finding, ...]
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of its findings."""
        order = (Verdict.NOT_TRIED, Verdict.FAILED, Verdict.WARNING)
        return next((one for one in order if any(each.verdict is one for each in self.findings)), Verdict.OK)


def softened(row: Row) -> Row:
    """The row of a leg that is not required: its failures are warnings."""

    def soft(finding: Finding) -> Finding:
        if finding.verdict is not Verdict.FAILED:
            return finding
        return replace(finding, verdict=Verdict.WARNING, text=f"{finding.text} (not required)")

    return replace(row, findings=tuple(soft(finding) for finding in row.findings))


def exit_status(rows: Iterable[Row]) -> int:
    return EXIT_FAILED if any(row.verdict is Verdict.FAILED for row in rows) else EXIT_DONE
