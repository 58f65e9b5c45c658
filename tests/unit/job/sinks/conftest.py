"""Real file systems and real helpers for the tests of the sinks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# A shell script, since the interpreter of these tests may lie where other users can't go.
HELPER = """#!/bin/sh
order=$(cat)
echo "$1 $(id -u) $(env | cut -d= -f1 | tr '\\n' ' ')" >> '{kept_in}/calls'
{trouble}
case $1 in
store) printf %s "$order" > '{kept_in}/'"$(printf %s "$order" | sed 's/.*"ServerURL": "\\([^"]*\\)".*/\\1/')" ;;
get) cat '{kept_in}/'"$order" 2>/dev/null || {{ echo 'credentials not found in native keychain'; exit 1; }} ;;
esac
"""


@pytest.fixture
def mount(as_root: None) -> Iterator[Callable[..., None]]:
    """`mount("-t", "tmpfs", …, target)`: undone at the end."""
    mounted: list[str] = []

    def do(*arguments: str | Path) -> None:
        subprocess.run(["mount", *map(str, arguments)], check=True)
        if "remount" not in str(arguments):
            mounted.append(str(arguments[-1]))

    yield do
    for target in reversed(mounted):
        subprocess.run(["umount", "-l", target], check=True)


@pytest.fixture
def helper(open_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`helper("test")`: puts `docker-credential-test` on PATH; gives the directory where it keeps a file per host."""
    programs = open_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")

    def make(name: str, trouble: str = "") -> Path:
        kept_in = open_path / f"kept-by-{name}"
        kept_in.mkdir()
        kept_in.chmod(0o777)
        program = programs / f"docker-credential-{name}"
        program.write_text(HELPER.format(kept_in=kept_in, trouble=trouble))
        program.chmod(0o755)
        return kept_in

    return make
