"""What trying a leg has shown: a verdict, the finding and its fix. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from ...core.exits import EXIT_DONE, EXIT_FAILED
from ...core.model import Failure
from ...logs import redact


class Verdict(StrEnum):
    """How a leg is, the worst one last; in the words of the JSON."""

    OK = "ok"
    WARNING = "warning"  # it works, or a pass will repair it; somebody should know
    FAILED = "failed"  # somebody must fix it
    NOT_TRIED = "not_tried"  # a leg before it failed


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
        return max((finding.verdict for finding in self.findings), key=[*Verdict].index, default=Verdict.OK)


def softened(row: Row) -> Row:
    """The row of a leg that is not required: its failures are warnings."""

    def soft(one: Finding) -> Finding:
        is_failed = one.verdict is Verdict.FAILED
        return replace(one, verdict=Verdict.WARNING, text=f"{one.text} (not required)") if is_failed else one

    return replace(row, findings=tuple(map(soft, row.findings)))


def redacted(row: Row) -> Row:
    """The row without anything that looks like a secret."""
    findings = (replace(one, text=redact(one.text), fix=one.fix and redact(one.fix)) for one in row.findings)
    return replace(row, subject=redact(row.subject), tried=redact(row.tried), findings=tuple(findings))


def exit_status(rows: Iterable[Row]) -> int:
    return EXIT_FAILED if any(row.verdict is Verdict.FAILED for row in rows) else EXIT_DONE
