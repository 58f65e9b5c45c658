"""One request and the ways to answer it, whole, by half or not at all."""

from __future__ import annotations

import contextlib
import email.utils
import json
import math
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Self

from . import head

if TYPE_CHECKING:
    from .serving import Listener

PIECE = 65536  # bytes moved at a time
DRAIN_AT_MOST = 16 * 1024 * 1024  # bytes of an unwanted request body read to save the connection


@lru_cache(maxsize=4)
def _http_date(second: int) -> str:
    return email.utils.formatdate(second, usegmt=True)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, small enough to be held in memory."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, value: object, **headers: str) -> Self:
        """Build an answer of JSON; underscores in header names become hyphens."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(status, json.dumps(value).encode(), headers=named)


class Exchange(BaseHTTPRequestHandler):
    """One connection, at the moment of one request: what was asked, and the ways to answer it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # where head and body are two writes, with Nagle each answer would take 40 ms
    server: Listener
    raw_requestline: bytes
    headers: head.Headers  # type: ignore[assignment]  # http.server's are of the email package

    def parse_request(self) -> bool:
        """Read the head of a request; false where it was none, which has been answered."""
        self.command = self.requestline = ""  # the latter is http.server's own, for log lines that nobody writes
        self.request_version = self.protocol_version
        try:
            self.command, self.path, self.request_version = head.first_line(self.raw_requestline)
            self.headers = head.headers(self.rfile)
        except ValueError:
            self.close_connection = True
            self.send(Reply(400, b"no request of HTTP/1\n", "text/plain"))
            return False
        connection = self.headers.get("Connection", "").lower()
        kept = "close" not in connection if self.request_version == "HTTP/1.1" else "keep-alive" in connection
        self.close_connection = not kept
        return self.headers.get("Expect", "").lower() != "100-continue" or self.handle_expect_100()

    def do_GET(self) -> None:
        self._pieces = self._read_pieces()
        self.server.stand_in.pause()
        if self.server.stand_in.down:  # it went down between this connection's accept and now
            self.cut()
            return
        self.server.stand_in.respond(self)
        self._drain()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815

    def pieces(self) -> Iterator[bytes]:
        """Stream what is still unread of the request's body, chunked or not.

        Raises ConnectionError if the client leaves in its middle.
        """
        return self._pieces

    def body(self) -> bytes:
        """Read what is still unread of the request's body."""
        return b"".join(self._pieces)

    def send(self, reply: Reply) -> None:
        """Answer, head and body in one write, as a server that has both would."""
        self._send_head(reply, then=b"" if self.command == "HEAD" else reply.body)

    def send_half(self, reply: Reply) -> None:
        """Promise the whole answer, send half of its body, and cut the connection."""
        self._send_head(reply)
        self.wfile.write(reply.body[: len(reply.body) // 2])
        self.cut()

    def send_for_ever(self, reply: Reply, every_s: float) -> None:
        """Promise no length, and send blanks before a body that never comes, until the client has enough."""
        self._send_head(reply, bounded=False)
        self.close_connection = True
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b" " * 64)
                self.server.stand_in.pause(every_s)

    def cut(self) -> None:
        """Close the connection as it is."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR)

    @contextlib.contextmanager
    def hanging_up_too(self, other: socket.socket) -> Iterator[None]:
        """Have `stop()` and `down` close that socket as well, while this context lasts."""
        self.server.add(other)
        try:
            yield
        finally:
            self.server.discard(other)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Give the `Date` header by the stand-in's clock."""
        stand_in = self.server.stand_in
        at = stand_in.clock() + stand_in.date_offset_s if timestamp is None else timestamp
        return _http_date(math.floor(at))

    def version_string(self) -> str:
        """Name the server as what it is."""
        return "ecr-refresher-stand-in"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Stay quiet."""

    def _send_head(self, reply: Reply, *, bounded: bool = True, then: bytes = b"") -> None:
        lines = [
            f"HTTP/1.1 {reply.status} {self.responses.get(reply.status, ('',))[0]}",
            f"Server: {self.version_string()}",
            f"Date: {self.date_time_string()}",
        ]
        if reply.status not in (204, 304):
            lines.append(f"Content-Type: {reply.content_type}")
            if bounded:
                lines.append(f"Content-Length: {len(reply.body)}")
        lines += (f"{name}: {value}" for name, value in reply.headers.items())
        self.wfile.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + then)

    def _read_pieces(self) -> Iterator[bytes]:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            yield from self._read_exactly(int(self.headers.get("Content-Length") or 0))
            return
        while size := int(self.rfile.readline(PIECE).split(b";")[0] or b"0", 16):
            yield from self._read_exactly(size)
            self.rfile.readline(PIECE)
        while self.rfile.readline(PIECE).strip():  # trailers
            pass

    def _read_exactly(self, size: int) -> Iterator[bytes]:
        while size > 0:
            piece = self.rfile.read(min(size, PIECE))
            if not piece:
                raise ConnectionAbortedError("the client left in the middle of its request")
            size -= len(piece)
            yield piece

    def _drain(self) -> None:
        """Read away what nobody wanted, or the next request on this connection would begin in its middle."""
        left = DRAIN_AT_MOST
        while not self.close_connection and (piece := next(self._pieces, None)):
            left -= len(piece)
            self.close_connection = left < 0
