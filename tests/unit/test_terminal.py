"""Colours only where they are wanted, and columns that are even with them."""

from __future__ import annotations

import io

import pytest

from ecr_refresher.terminal import Paint, Progress, columns


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_are_on_a_terminal() -> None:
    assert Paint(Terminal(), {"TERM": "xterm"})("ready", "good", "bold") == "\x1b[32;1mready\x1b[0m"
    assert Paint(Terminal(), {"NO_COLOR": ""}).on  # no-color.org: set to something


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_are_off_where_the_user_says_so(environ: dict[str, str]) -> None:
    assert Paint(Terminal(), environ)("ready", "good") == "ready"


def test_colours_are_off_in_a_pipe() -> None:
    assert Paint(io.StringIO(), {"TERM": "xterm"})("ready", "good") == "ready"


def test_columns_are_even_whatever_is_painted() -> None:
    paint = Paint(Terminal(), {})
    rows = [("sink", paint("ok", "good"), "x"), ("longer sink", "failed", "")]
    assert columns(rows, "  ") == ["  sink         \x1b[32mok\x1b[0m      x", "  longer sink  failed"]
    assert columns([]) == []


def test_progress_is_one_line_that_is_written_over_and_leaves_nothing() -> None:
    terminal = Terminal()
    progress = Progress(terminal, {"TERM": "xterm"})
    progress.clear()  # there is nothing yet
    progress.show("looked at 1 of 2")
    progress.show("delivered 1 of 2")
    progress.clear()
    progress.clear()
    assert terminal.getvalue() == "\r\x1b[Klooked at 1 of 2\r\x1b[Kdelivered 1 of 2\r\x1b[K"


@pytest.mark.parametrize(("stream", "environ"), [(io.StringIO(), {}), (Terminal(), {"TERM": "dumb"})])
def test_a_pipe_gets_no_progress(stream: io.StringIO, environ: dict[str, str]) -> None:
    progress = Progress(stream, environ)
    progress.show("looked at 1 of 2")
    progress.clear()
    assert stream.getvalue() == ""
