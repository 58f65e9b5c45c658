"""Tables and colours by rich on a terminal; plain lines, and nothing of rich, elsewhere."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from ecr_refresher.terminal import BAD, GOOD, Progress, Table, rendered
from tests.testbed.daemon import MEASURING
from tests.testbed.processes import on_a_terminal

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _xterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)


def bare(text: str) -> list[str]:
    return [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", text).split("\n")]


def test_colours_are_on_a_terminal() -> None:
    assert rendered([("ready", f"bold {GOOD}")], Terminal()) == "\x1b[1;32mready\x1b[0m"


@pytest.mark.parametrize("variable", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_are_off_where_the_user_says_so(variable: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(*variable)
    assert rendered([("ready", GOOD)], Terminal()) == "ready"


def test_a_pipe_gets_plain_columns() -> None:
    table = Table([("sink", ("ok", GOOD), "x"), ("a note as long as it likes",), ("longer sink", "failed", "")])
    assert rendered([[("bad", BAD), ": it"], table], io.StringIO()).split("\n") == [
        "bad: it",
        "sink         ok      x",
        "a note as long as it likes",
        "longer sink  failed",
    ]
    assert rendered([Table([])], io.StringIO()) == ""


def test_columns_are_even_on_a_terminal_whatever_is_painted() -> None:
    table = Table([("sink", ("ok", GOOD), "x"), ("a note",), ("longer sink", "failed", "y")], ("SINK", "HOW", "X"))
    shown = rendered([table], Terminal())
    assert "\x1b[32mok\x1b[0m" in shown
    assert bare(shown) == [
        "SINK         HOW     X",
        "sink         ok      x",
        "a note",
        "longer sink  failed  y",
    ]


@pytest.mark.parametrize("columns", [30, 80, 120])
def test_nothing_is_lost_and_nothing_sticks_out_of_a_narrow_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    rows = [(f"docker/{'/home' * 20}", "written", HOST), (f"     denied: {'it did not let us in ' * 8}",)]
    lines = bare(rendered([Table(rows, ("SINK", "OUTCOME", "REGISTRY"))], Terminal()))
    assert max(map(len, lines)) <= columns
    assert "written" in lines[1]
    assert sum(line.count("/") for line in lines) == 21
    notes = lines[next(n for n, line in enumerate(lines) if "denied" in line) :]
    assert all(line.startswith("     ") and line[5] != " " for line in notes)
    assert " ".join(" ".join(notes).split()).count("it did not let us in") == 8


def test_the_markup_of_rich_is_text_like_any_other() -> None:
    for stream in (io.StringIO(), Terminal()):
        shown = rendered(["[bold]x[/bold] :warning:", Table([("[red]x", "[/]", "[link=file:///x]y")])], stream)
        assert bare(shown) == ["[bold]x[/bold] :warning:", "[red]x  [/]  [link=file:///x]y"]


def test_control_characters_are_escaped_everywhere() -> None:
    hostile = "x\x1b]0;t\x07\r\nready\x9b1m\u2028"
    for stream in (io.StringIO(), Terminal()):
        shown = rendered([hostile, (hostile, GOOD), Table([(hostile, "y"), (hostile,)])], stream)
        assert len(bare(shown)) == 4
        assert "".join(bare(shown)).isprintable()


def run_on_a_terminal(program: str, columns: int = 80) -> str:
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", *MEASURING)}
    return on_a_terminal([sys.executable, "-c", program], environ, columns)


@pytest.mark.parametrize("columns", [40, 120])
def test_the_width_is_that_of_the_terminal_at_hand(columns: int) -> None:
    program = "import sys; from ecr_refresher.terminal import *; print(rendered(['word ' * 40], sys.stdout))"
    first = run_on_a_terminal(program, columns).splitlines()[0].rstrip()
    assert columns - 5 <= len(first) <= columns


def test_progress_is_one_line_that_is_written_over_and_leaves_nothing() -> None:
    terminal = Terminal()
    progress = Progress(terminal)
    progress.clear()  # there is nothing yet
    assert terminal.getvalue() == ""
    progress.show("looked at 1 of 2")
    progress.show("served 1 of \x1b[2J2")
    assert "served 1 of \\x1b[2J2" in terminal.getvalue()
    progress.clear()
    progress.clear()
    shown = terminal.getvalue()
    assert shown.index("looked at 1 of 2") < shown.index("served 1 of")
    assert shown.endswith("\x1b[2K"), "the line is empty again"
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is back"


def test_a_log_line_of_any_thread_may_clear_the_line_at_any_moment() -> None:
    progress, faults = Progress(Terminal()), []

    def use(act: Callable[[], None]) -> None:
        try:
            for _ in range(200):
                act()
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=use, args=(act,)) for act in (lambda: progress.show("x"), progress.clear) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_command_that_is_killed_leaves_the_cursor_and_no_line_of_progress() -> None:
    shown = run_on_a_terminal(
        "import os, signal\n"
        "from ecr_refresher.job.commands import foreground\n"
        "def work(progress):\n"
        "    progress.show('reading the settings')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "foreground.run('once', work, 20)"
    )
    before, _, after = shown.rpartition("reading the settings")
    assert "\x1b[?25l" in before
    assert after.startswith("\x1b[0m\r\x1b[K\x1b[?25h{"), "then the log says what happened"


@pytest.mark.parametrize(("stream", "term"), [(io.StringIO(), "xterm"), (Terminal(), "dumb")])
def test_a_pipe_gets_no_progress(stream: io.StringIO, term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    progress = Progress(stream)
    progress.show("looked at 1 of 2")
    progress.clear()
    assert stream.getvalue() == ""


RICH = "print(*(name for name in sys.modules if name.partition('.')[0] in ('rich', 'pygments')))"


@pytest.mark.parametrize(
    "program",
    [
        "from ecr_refresher import logs; logs.configure('info', 'console'); logs.get().info('x')",
        "from ecr_refresher.daemon import supervisor",
        "from ecr_refresher.job import worker; from ecr_refresher.job.refresh import run, tools",
        "from ecr_refresher.job.commands import check, cleanup, documents, once",
        "from ecr_refresher import cli; cli.main(['status', '--live', '--url', 'http://127.0.0.1:1'])",
        "from ecr_refresher.terminal import *; p = Progress(sys.stdout); p.show('x'); rendered(['x'], sys.stdout)",
    ],
)
def test_rich_is_loaded_on_a_terminal_only_and_never_by_daemon_workers_and_health_check(program: str) -> None:
    bare = {name: value for name, value in os.environ.items() if name not in MEASURING}
    command = [sys.executable, "-c", f"import sys; {program}; {RICH}"]
    done = subprocess.run(command, env=bare, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_a_terminal_gets_rich_without_pygments_whose_lexers_the_image_does_not_have() -> None:
    table = "[Table([('x', 'y')], ('A', 'B')), '  x']"
    show = f"p = Progress(sys.stdout); p.show('x'); p.say('y'); rendered({table}, sys.stdout)"
    loaded = run_on_a_terminal(f"import sys; from ecr_refresher.terminal import *; {show}; {RICH}")
    assert "rich.console" in loaded
    assert "pygments" not in loaded
