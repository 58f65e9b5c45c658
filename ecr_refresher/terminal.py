"""What people see: tables, colours and a line of progress by rich on a terminal, plain lines elsewhere.

rich is loaded only on a terminal, and not if TERM is `dumb`. It leaves colours out if NO_COLOR is set (no-color.org).
All text is escaped here, so that nobody's text moves the cursor, changes colours or forges a line.
"""

from __future__ import annotations

import itertools
import os
import threading
from typing import TYPE_CHECKING, NamedTuple

from .core.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.text import Text

Part = str | tuple[str, str]  # a text, or a text with its style
Words = Part | list[Part]
GOOD, WARNING, BAD, BOLD, DIM = "green", "yellow", "red", "bold", "dim"  # styles of rich
GAP = 2  # spaces between columns
WORD_MIN, WORD_MAX = 8, 21  # columns are not made narrower than that while others can: a time and a comma are 21
LINE_BACK = b"\r\x1b[K\x1b[?25h"  # after a killed command: removes its line of progress, shows the cursor


class Table(NamedTuple):
    """Rows of cells. A row of one cell is a line between the others."""

    rows: Sequence[Sequence[Words]]
    head: Sequence[str] = ()
    wrapped_at: int | None = None  # columns, elsewhere than on a terminal: there it is the terminal's width


Block = Words | Table


def rendered(blocks: Sequence[Block], stream: TextIO) -> str:
    """The blocks as text for this stream: a line for words, several for a table."""
    console = _console(stream)
    if console is None:
        return "\n".join(line for block in blocks for line in _plain(block))
    with console.capture() as captured:
        for block in blocks:
            console.print(*_rich(block, console.width), sep="\n")
    return captured.get().removesuffix("\n")


class Progress:
    """One line that says what a command is doing, on a terminal only; a pipe gets nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._console = stream, _console(stream)
        self._live: Live | None = None
        self._lock = threading.RLock()  # log lines come from all threads

    def show(self, text: str) -> None:
        """Put this in place of what stood there."""
        if self._console is None:
            return
        from rich.live import Live

        with self._lock:
            if self._live is None:
                # What others print goes to the log, and not through rich.
                self._live = Live(console=self._console, transient=True, redirect_stdout=False, redirect_stderr=False)
                self._live.start()
            self._live.update(_text((text, DIM)), refresh=True)

    def say(self, text: str) -> None:
        """Print text that stays."""
        self.clear()
        print(rendered(text.split("\n"), self._stream), file=self._stream, flush=True)

    def clear(self) -> None:
        """Leave the line to others."""
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None


def _console(stream: TextIO) -> Console | None:
    """rich's way to this stream, if that is a terminal."""
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return None
    from rich.console import Console

    try:
        # rich would measure the standard streams, which the child that does a command's work has left.
        width = os.get_terminal_size(stream.fileno()).columns
    except OSError:
        width = 0
    return Console(file=stream, width=width or None, highlight=False, emoji=False)


def _plain(block: Block) -> Iterator[str]:
    if not isinstance(block, Table):
        yield _bare(block)
        return
    rows = [[_bare(cell) for cell in row] for row in _all_rows(block)]
    widths = _widths([list(map(len, row)) for row in rows])
    for *cells, last in rows:
        start = "".join(cell.ljust(width + GAP) for cell, width in zip(cells, widths, strict=False))
        if block.wrapped_at is None:
            yield (start + last).rstrip()
            continue
        import textwrap

        # A word longer than the line (a path, an ARN) is broken, so that the table keeps its width.
        room = block.wrapped_at - len(start)
        first, *more = textwrap.wrap(last, room, subsequent_indent="  ", break_on_hyphens=False) or [""]
        yield start + first
        yield from (" " * len(start) + line for line in more)


def _rich(block: Block, room: int) -> Iterator[RenderableType]:
    """The block for a terminal of this width. Text that does not fit goes on below, as far in as it began."""
    from rich.padding import Padding
    from rich.table import Table as Grid

    rows = [[_text(cell) for cell in row] for row in (_all_rows(block) if isinstance(block, Table) else [[block]])]
    widths = _widths([[cell.cell_len for cell in row] for row in rows])
    words = _widths([[max(map(len, cell.plain.split(" "))) for cell in row] for row in rows])
    least = [min(max(word, WORD_MIN), WORD_MAX) for word in words]
    while sum(widths) + GAP * len(widths) > room and max(widths) > 1:  # rich before 15 counts a gap behind the last
        # The widest gives way: first of those where that breaks no short word.
        widths[max(range(len(widths)), key=lambda at: (widths[at] > least[at], widths[at]))] -= 1
    for whole, some in itertools.groupby(rows, key=lambda row: len(row) == 1):
        if whole:
            for (text,) in some:
                indent = len(text.plain) - len(text.plain.lstrip(" "))
                yield Padding(text[indent:], (0, 0, 0, indent), expand=False) if indent else text
            continue
        grid = Grid.grid(padding=(0, GAP, 0, 0))
        for width in widths:
            grid.add_column(width=width, overflow="fold")
        for row in some:
            grid.add_row(*row)
        yield grid


def _all_rows(table: Table) -> list[Sequence[Words]]:
    return [[(title, DIM) for title in table.head], *table.rows] if table.head else [*table.rows]


def _widths(lengths: Sequence[Sequence[int]]) -> list[int]:
    """The width of each column; rows of one cell are in no column."""
    return [max(column) for column in zip(*(row for row in lengths if len(row) > 1), strict=True)]


def _text(words: Words) -> Text:
    from rich.text import Text

    return Text.assemble(*_parts(words), overflow="fold")


def _bare(words: Words) -> str:
    return "".join(text for text, _ in _parts(words))


def _parts(words: Words) -> list[tuple[str, str]]:
    listed = words if isinstance(words, list) else [words]
    return [(printable(part), "") if isinstance(part, str) else (printable(part[0]), part[1]) for part in listed]
