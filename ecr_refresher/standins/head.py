"""The head of an HTTP request: its first line, and its headers by their names in whichever case.

http.server reads it by the email package, which was half of what a stand-in took for a request. Where the daemon is
measured beside its stand-ins, on the same cores, their time counts as its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BufferedIOBase
from typing import overload

LINE_MAX, LINES_MAX = 65536, 100  # bytes and headers, as http.client's


class Headers:
    """Headers as they came; of several with the same name the first is given."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._by_name = {name.lower(): value for name, value in reversed(pairs)}

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        return self._by_name.get(name.lower(), default)

    def items(self) -> Sequence[tuple[str, str]]:
        """All of them, in their order and spelling."""
        return self._pairs

    def __getitem__(self, name: str) -> str:
        return self._by_name[name.lower()]

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._by_name


def first_line(line: bytes) -> tuple[str, str, str]:
    """Read method, target and version. Raises ValueError for anything else than HTTP/1."""
    method, target, version = line.decode("latin-1").split()
    if not version.startswith("HTTP/1."):
        raise ValueError("not HTTP/1")
    return method, target, version


def headers(lines: BufferedIOBase) -> Headers:
    """Read the headers and the empty line behind them. Raises ValueError for what is none, or too long."""
    read: list[bytes] = []
    while (line := lines.readline(LINE_MAX)) not in (b"\r\n", b"\n"):
        if not line.endswith(b"\n") or len(read) == LINES_MAX:
            raise ValueError("not a header")
        read.append(line)
    fields = [line.partition(":") for line in b"".join(read).decode("latin-1").split("\n")[:-1]]
    if not all(colon for _, colon, _ in fields):
        raise ValueError("not a header")
    return Headers([(name, value.strip()) for name, _, value in fields])
