"""A small HTTP/1.1 server in threads: the base of every stand-in."""

from __future__ import annotations

import email.utils
import json
import socketserver
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

POLL_S = 0.05  # how long stop() may take to be noticed


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, held in memory."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, value: object) -> Self:
        """Build an answer of JSON."""
        return cls(status, json.dumps(value).encode())


class Exchange(BaseHTTPRequestHandler):
    """One request, and the way to answer it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes; with Nagle's algorithm each answer takes 40 ms
    server: Listener

    def do_GET(self) -> None:
        """Have the stand-in answer."""
        self.server.stand_in.respond(self)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the standard library's names

    def body(self) -> bytes:
        """Read the request's body."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(self, reply: Reply) -> None:
        """Answer."""
        self.send_head(reply)
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def send_head(self, reply: Reply) -> None:
        """Send the status line and the headers."""
        self.send_response(reply.status)
        if reply.status not in (204, 304):
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the `Date` header by the stand-in's clock."""
        return email.utils.formatdate(self.server.stand_in.clock() if timestamp is None else timestamp, usegmt=True)

    def version_string(self) -> str:
        """Return the `Server` header."""
        return "ecr-refresher-stand-in"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Log nothing."""


class Listener(socketserver.ThreadingTCPServer):
    """The listening socket; one thread serves each connection."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, stand_in: StandIn, address: tuple[str, int], exchange: type[Exchange] = Exchange) -> None:
        """Listen. Raises OSError if the port is taken."""
        self.stand_in = stand_in
        super().__init__(address, exchange)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report the stand-in's own mistakes, not clients that hang up."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class StandIn(ABC):
    """A server on loopback; a context manager that listens while it is entered."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, clock: Callable[[], float] = time.time) -> None:
        """Prepare to listen. Port 0 takes a free one. `clock` returns seconds since the epoch."""
        self.host = host
        self.clock = clock
        self._port = port
        self._listener: Listener | None = None

    @abstractmethod
    def respond(self, exchange: Any) -> None:
        """Answer one request, an Exchange or what `listen()` makes of it. Runs in the connection's own thread."""

    @property
    def port(self) -> int:
        """The port. Raises RuntimeError before the first start."""
        if not self._port:
            raise RuntimeError("this stand-in has no port before its first start()")
        return self._port

    @property
    def scheme(self) -> str:
        """The scheme of the address."""
        return "http"

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return f"{self.scheme}://{self.host}:{self.port}"

    def listen(self) -> Listener:
        """Open the listening socket."""
        return Listener(self, (self.host, self._port))

    def start(self) -> Self:
        """Start to serve. Raises OSError if the port is taken."""
        if self._listener is None:
            self._listener = self.listen()
            self._port = int(self._listener.server_address[1])
            threading.Thread(
                target=self._listener.serve_forever, args=(POLL_S,), name=type(self).__name__, daemon=True
            ).start()
        return self

    def stop(self) -> None:
        """Close the port."""
        if self._listener is not None:
            self._listener.shutdown()
            self._listener.server_close()
            self._listener = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
