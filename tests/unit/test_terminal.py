"""Colours only where they are wanted, and columns that are even with them."""

from __future__ import annotations

import io

import pytest

from ecr_refresher.terminal import Paint, columns


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
