"""The command line as people meet it: help that fits a screen, and completion in a real shell."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ecr_refresher import options
from tests.testbed import parts

SCREEN = (80, 40)  # columns and lines


def commands() -> list[str]:
    (choices,) = (action.choices for action in options.parser()._actions if action.dest == "command")
    return [str(name) for name in choices or ()]


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        options.parse(words)
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", [[], *([name] for name in commands())], ids=" ".join)
def test_help_is_one_screen(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(SCREEN[0]))
    lines = said([*command, "--help"], capsys).splitlines()
    assert len(lines) <= SCREEN[1]
    assert not command or "examples:" in lines
    shown = lines[lines.index("examples:") + 1 :] if command else []
    assert not command or all(line.startswith(("  ", "HEALTHCHECK")) for line in shown if line)
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    "words",
    [["run", "--config"], ["status", "--url"], ["status", "--ca"], ["iam-policy", "pull", "--repository"]],
    ids=lambda words: words[-1],
)
def test_an_argument_that_is_not_utf_8_is_2_and_named(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        options.parse([*words, os.fsdecode(b"/\xff")])
    assert ended.value.code == 2
    assert f"argument {words[-1]}: is not UTF-8 text. Write it in UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_there_is_a_completion_script_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    script = said(["--print-completion", shell], capsys)
    assert all(name in script for name in commands())
    if found := shutil.which(shell):
        subprocess.run([found, "-n"], input=script, text=True, check=True, timeout=30)


def completed(line: str, script: str, directory: Path) -> set[str]:
    """What a real bash offers for the last word of a line."""
    words = line.split(" ")
    program = f"""{script}
COMP_WORDS=({" ".join(f"'{word}'" for word in words)}) COMP_CWORD={len(words) - 1}
COMP_LINE='{line}' COMP_POINT={len(line)}
complete -p ecr-refresher >&2 || exit 3
$(complete -p ecr-refresher | sed -E 's/.*-F ([^ ]+).*/\\1/') ecr-refresher "${{COMP_WORDS[-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "--norc", "-c", program], capture_output=True, text=True, check=True, timeout=30, cwd=directory
    )
    return set(done.stdout.split())


def test_bash_completes_commands_options_words_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which("bash") is None:
        parts.give_up("bash")
    script = said(["--print-completion", "bash"], capsys)
    (tmp_path / "settings.yaml").touch()
    assert completed("ecr-refresher st", script, tmp_path) == {"status"}
    assert {"once", "check", "status"} <= completed("ecr-refresher ", script, tmp_path)
    assert completed("ecr-refresher once --dr", script, tmp_path) == {"--dry-run"}
    assert completed("ecr-refresher run --log-format j", script, tmp_path) == {"json"}
    assert completed("ecr-refresher iam-policy pu", script, tmp_path) == {"pull", "push"}
    assert completed("ecr-refresher run --config sett", script, tmp_path) == {"settings.yaml"}
