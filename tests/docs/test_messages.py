"""Messages of ours that the pages explain are messages that the code has; people search for them by their text."""

from __future__ import annotations

import ast
import re

import pytest

import ecr_refresher

from .pages import PAGES, ROOT

GAP = "…"  # on the pages: whatever stands there


def messages() -> str:
    """Every text in the code, one a line; a gap for each value that is put in."""
    found = []
    for path in sorted((ROOT / ecr_refresher.__name__).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(p.value) if isinstance(p, ast.Constant) else GAP for p in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(text.replace("\n", " ") for text in found)


MESSAGES = messages()


def explained(page: str, heading: str) -> list[str]:
    """The code spans in the first column of the table below a heading, and nothing of other sections."""
    section = PAGES[page].read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")][1:]
    return [span for cell in cells for span in re.findall(r"`([^`]{20,})`", cell)]


SPANS = [
    *explained("docs/airflow.md", "When something is wrong"),
    *explained("docs/troubleshooting.md", "ecr-refresher itself"),
    "is mounted as a single file, which can't be replaced",
    "no AWS credentials were found",
]


@pytest.mark.parametrize("span", SPANS)
def test_the_code_has_this_message(span: str) -> None:
    pattern = ".*".join(re.escape(part.strip()) for part in span.split(GAP))
    assert re.search(pattern, MESSAGES), span


def test_messages_are_found() -> None:
    assert len(SPANS) > 7
    assert f"{GAP} is mounted as a single file" in MESSAGES
