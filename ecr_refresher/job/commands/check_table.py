"""The rows of `check` as a table for people and as a document for machines. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ...logs import redact
from ...terminal import BAD, BOLD, DIM, GOOD, WARNING, Block, Table, Words
from ..doctor.findings import Row, Verdict

WIDTH = 100
_SHOWN: dict[Verdict, tuple[str, str]] = {
    Verdict.OK: ("ok", GOOD),
    Verdict.WARNING: ("warning", WARNING),
    Verdict.FAILED: ("FAILED", BAD),
    Verdict.NOT_TRIED: ("not tried", DIM),
}


def page(rows: Sequence[Row]) -> list[Block]:
    """One row a leg: its verdict, what was tried, and below that each finding with its fix."""
    cells: list[tuple[Words, Words, Words]] = []
    for row in rows:
        first, *more = _paragraphs(row)
        cells += [(_SHOWN[row.verdict], row.leg, first), *(("", "", words) for words in more)]
    return [Table(cells, ("STATUS", "LEG", "WHAT WAS TRIED, AND FOUND"), wrapped_at=WIDTH), "", _summary(rows)]


def document(rows: Sequence[Row], status: int) -> dict[str, Any]:
    """The same for machines: `legs` in the table's order, each with its findings."""
    return {
        "status": status,
        "counts": {_word(verdict): count for verdict, count in _counts(rows).items()},
        "legs": [
            {
                "leg": row.leg,
                "subject": redact(row.subject),
                "verdict": _word(row.verdict),
                "tried": redact(row.tried),
                "seconds": row.seconds,
                "findings": [
                    {
                        "verdict": _word(finding.verdict),
                        "text": redact(finding.text),
                        "fix": None if finding.fix is None else redact(finding.fix),
                    }
                    for finding in row.findings
                ],
            }
            for row in rows
        ],
    }


def _word(verdict: Verdict) -> str:
    return str(verdict).replace(" ", "_")


def _paragraphs(row: Row) -> Iterator[Words]:
    """One line where all is well; else a line for each finding and each fix."""
    if len(row.findings) == 1 and row.verdict is Verdict.OK:
        yield redact(f"{row.tried}: {row.findings[0].text}")
        return
    yield redact(row.tried)
    for finding in row.findings:
        differs = finding.verdict is not row.verdict and len(row.findings) > 1
        yield _sentence(f"{_SHOWN[finding.verdict][0]}: {finding.text}" if differs else finding.text)
        if finding.fix is not None:
            yield [("Fix:", BOLD), _sentence(f" {finding.fix}")]


def _sentence(text: str) -> str:
    return redact(text if text.endswith((".", "?", "!")) else f"{text}.")


def _summary(rows: Sequence[Row]) -> str:
    return ", ".join(f"{count} {_SHOWN[verdict][0]}" for verdict, count in _counts(rows).items() if count)


def _counts(rows: Sequence[Row]) -> dict[Verdict, int]:
    counted = Counter(row.verdict for row in rows)
    return {verdict: counted[verdict] for verdict in Verdict}
