"""What people see on a terminal: colours where they can be shown, tables, a line of progress. Standard library only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

_CODES = {"good": "32", "warning": "33", "bad": "31", "bold": "1", "dim": "2"}


class Paint:
    """Colours by meaning: `paint("ready", "good")`; leaves texts alone where colours are not wanted.

    They are on a terminal only, and not if NO_COLOR is set to anything (no-color.org), or TERM is `dumb`.
    """

    def __init__(self, stream: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self.on = stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"

    def __call__(self, text: str, *meanings: str) -> str:
        codes = ";".join(_CODES[meaning] for meaning in meanings)
        return f"\x1b[{codes}m{text}\x1b[0m" if self.on and text and codes else text


class Progress:
    """One line that is written over again and again, on a terminal only; a pipe gets nothing."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self._stream, self._shown = stream, False
        self.on = stream.isatty() and environ.get("TERM") != "dumb"

    def show(self, text: str) -> None:
        """Put this in place of what stood there."""
        if self.on and (text or self._shown):
            self._stream.write(f"\r\x1b[K{text}")
            self._stream.flush()
            self._shown = bool(text)

    def clear(self) -> None:
        """Leave the line to others."""
        self.show("")


def columns(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """Rows of texts, painted or not, as lines with even columns."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return [
        (
            indent + "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _width(text: str) -> int:
    """How many columns a text takes, colours left out."""
    first, *painted = text.split("\x1b[")
    return len(first) + sum(len(part.partition("m")[2]) for part in painted)
