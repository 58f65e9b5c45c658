"""The rows of `check` as a table for people and as JSON for machines. Pure."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ...core.printable import printable
from ...logs import redact
from ..doctor.findings import Finding, Row, Verdict

WIDTH = 100
_SHOWN = {
    Verdict.OK: "ok",
    Verdict.WARNING: "warning",
    Verdict.FAILED: "FAILED",
    Verdict.NOT_TRIED: "not tried",
}
_MEANING = {Verdict.OK: "good", Verdict.WARNING: "warning", Verdict.FAILED: "bad", Verdict.NOT_TRIED: "dim"}
_VERDICT_WIDTH = 11


def table(rows: Sequence[Row], paint: Callable[[str, str], str]) -> str:
    """One row a leg: its verdict, what was tried, and below that each finding with its fix; 100 columns wide."""
    name_width = max([len("LEG"), *(len(row.leg) for row in rows)]) + 2
    indent = " " * (_VERDICT_WIDTH + name_width)
    lines = ["STATUS".ljust(_VERDICT_WIDTH) + "LEG".ljust(name_width) + "WHAT WAS TRIED, AND FOUND"]
    for row in rows:
        shown = paint(_SHOWN[row.verdict].ljust(_VERDICT_WIDTH), _MEANING[row.verdict])
        first, *rest = [line for paragraph in _paragraphs(row) for line in _wrapped(paragraph, WIDTH - len(indent))]
        lines += [shown + row.leg.ljust(name_width) + first, *(indent + line for line in rest)]
    return "\n".join([*lines, "", _summary(rows)])


def json_text(rows: Sequence[Row], status: int) -> str:
    """The same for machines: `legs` in the table's order, each with its findings."""
    return json.dumps(_document(rows, status), indent=2)


def _document(rows: Sequence[Row], status: int) -> dict[str, Any]:
    return {
        "status": status,
        "counts": {str(verdict).replace(" ", "_"): count for verdict, count in _counts(rows).items()},
        "legs": [
            {
                "leg": row.leg,
                "subject": redact(row.subject),
                "verdict": str(row.verdict).replace(" ", "_"),
                "tried": redact(row.tried),
                "seconds": row.seconds,
                "findings": [
                    {
                        "verdict": str(finding.verdict).replace(" ", "_"),
                        "text": redact(finding.text),
                        "fix": None if finding.fix is None else redact(finding.fix),
                    }
                    for finding in row.findings
                ],
            }
            for row in rows
        ],
    }


def _paragraphs(row: Row) -> list[str]:
    """One line where all is well; else a line for each finding and each fix."""
    if len(row.findings) == 1 and row.verdict is Verdict.OK:
        return [redact(f"{row.tried}: {row.findings[0].text}")]
    return [redact(row.tried), *(redact(text) for finding in row.findings for text in _sentences(finding, row))]


def _sentences(finding: Finding, row: Row) -> list[str]:
    differs = finding.verdict is not row.verdict and len(row.findings) > 1
    said = _sentence(f"{_SHOWN[finding.verdict]}: {finding.text}" if differs else finding.text)
    return [said] if finding.fix is None else [said, _sentence(f"Fix: {finding.fix}")]


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _wrapped(text: str, width: int) -> list[str]:
    # A word longer than the line (a path, an ARN) is broken, so that the table keeps its width.
    return textwrap.wrap(printable(text), width, subsequent_indent="  ", break_on_hyphens=False) or [""]


def _summary(rows: Sequence[Row]) -> str:
    counts = _counts(rows)
    return ", ".join(f"{count} {_SHOWN[verdict]}" for verdict, count in counts.items() if count)


def _counts(rows: Sequence[Row]) -> dict[Verdict, int]:
    counted = Counter(row.verdict for row in rows)
    return {verdict: counted[verdict] for verdict in Verdict}
