"""The table of faults names tests that are there, and none of the faults' tests is missing in it."""

from __future__ import annotations

import ast
import re

from .pages import ROOT

PAGE = (ROOT / "docs" / "reliability.md").read_text()
NO_FAULTS = {"tests/faults/test_once.py"}  # shows a command, in the faults' world of stand-ins
NAMED = set(re.findall(r"`(tests/[^`]+)`", PAGE))


def test_every_test_that_is_named_exists() -> None:
    assert len(NAMED) > 25
    for name in NAMED:
        file, _, function = name.partition("::")
        assert (ROOT / file).exists(), name
        if function:
            tree = ast.parse((ROOT / file).read_text())
            assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, name


def test_every_test_of_faults_is_named() -> None:
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "faults").glob("test_*.py")}
    assert files - NO_FAULTS <= {name.partition("::")[0] for name in NAMED}


def test_every_row_says_what_proves_it() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and not set(line) <= set("|-")]
    assert len(rows) > 30
    assert all("`tests/" in row.split("|")[-2] or row.split("|")[-2].strip() == "proved by" for row in rows)
