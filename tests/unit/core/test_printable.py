"""Texts from outside, made safe for a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher.core.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, é and 你好", "plain, é and 你好"),
        ("red: \x1b[31m", "red: \\x1b[31m"),
        ("two\nlines\r\tand a tab", "two\\nlines\\r\\tand a tab"),
        ("c1 \x9b and del \x7f", "c1 \\x9b and del \\x7f"),
        ("right to left \u202e, line \u2028", "right to left \\u202e, line \\u2028"),
        ("half a pair \ud800", "half a pair \\ud800"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_what_is_printed_is_always_printable_and_stays_as_it_is_the_second_time(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown
