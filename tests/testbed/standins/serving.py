"""What every stand-in of the tests can do besides answering: speak TLS, be slow, be down, cut and stream.

`StandIn` is the package's server with those faults; each connection's requests reach `respond()` as an `Exchange`.
"""

from __future__ import annotations

import contextlib
import email.utils
import socket
import ssl
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any

from .honest import server
from .honest.server import Reply

__all__ = ["PIECE", "Exchange", "Reply", "StandIn"]

PIECE = 65536  # bytes moved at a time
DRAIN_AT_MOST = 16 * 1024 * 1024  # bytes of an unread request body read to save the connection
JOIN_S = 5.0
NAP_S = 0.1


class Exchange(server.Exchange):
    """One request, and the ways to answer it: whole, by half, or not at all."""

    server: Listener
    connection: socket.socket

    def do_GET(self) -> None:  # noqa: N802 - the standard library's name
        self._pieces = self._read_pieces()
        self.server.stand_in.pause()
        if self.server.stand_in.down:  # it went down between this connection's accept and now
            self.cut()
            return
        self.server.stand_in.respond(self)
        self._drain()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815 - likewise

    def pieces(self) -> Iterator[bytes]:
        """Stream the unread part of the request's body, chunked or not.

        Raises ConnectionError if the client hangs up before its end.
        """
        return self._pieces

    def body(self) -> bytes:
        return b"".join(self._pieces)

    def send_half(self, reply: Reply) -> None:
        """Announce the whole answer, send half of its body, and cut the connection."""
        self.send_head(reply)
        self.wfile.write(reply.body[: len(reply.body) // 2])
        self.cut()

    def send_for_ever(self, reply: Reply, every_s: float) -> None:
        """Announce no length, and send blanks until the client hangs up."""
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b" " * 64)
                self.server.stand_in.pause(every_s)

    def cut(self) -> None:
        """Close the connection without another byte."""
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
        stand_in = self.server.stand_in
        at = stand_in.clock() + stand_in.date_offset_s if timestamp is None else timestamp
        return email.utils.formatdate(at, usegmt=True)

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
                raise ConnectionAbortedError("the client hung up in the middle of its request")
            size -= len(piece)
            yield piece

    def _drain(self) -> None:
        """Read the rest of the body, or the next request on this connection would begin in its middle."""
        left = DRAIN_AT_MOST
        while not self.close_connection and (piece := next(self._pieces, None)):
            left -= len(piece)
            self.close_connection = left < 0


class StandIn(server.StandIn):
    """A server with faults of the wire: `down` and `slow()`; `heal()` ends them.

    `clock` (seconds since the epoch) plus `date_offset_s` is what the `Date` header says. `crashes` holds the
    tracebacks of the stand-in's own mistakes: a test asserts that there are none. `paused` counts the requests that
    were made to wait: a test that wants to strike in the middle of one waits for that.
    """

    def __init__(
        self, *args: Any, tls: tuple[str, str] | None = None, date_offset_s: float = 0.0, **options: Any
    ) -> None:
        """Prepare to listen. `tls` is a pair of paths (certificate chain, key), both PEM."""
        super().__init__(*args, **options)
        self.date_offset_s = date_offset_s
        self.crashes: list[str] = []
        self.paused = 0
        self._tls = tls
        self._slow_s = 0.0
        self._down = False
        self._stopping = threading.Event()

    @property
    def scheme(self) -> str:
        return "https" if self._tls else "http"

    @property
    def down(self) -> bool:
        """While true, open connections are cut and new ones closed at once. For a refused port use `stop()`."""
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        self._down = down
        if down and isinstance(self._listener, Listener):
            self._listener.hang_up()

    def slow(self, seconds: float) -> None:
        """Wait so long before every answer from now on."""
        self._slow_s = seconds

    def show(self, certificate: tuple[str, str]) -> None:
        """Show another certificate (chain and key, paths) to connections from now on."""
        self._tls = certificate
        if isinstance(self._listener, Listener):
            self._listener.hang_up()
            self._listener.show(certificate)

    def demand_certificates(self, ca_file: str, newest: ssl.TLSVersion) -> None:
        """Let in only clients with a certificate of this CA, over TLS of this version at most, from now on."""
        if isinstance(self._listener, Listener):
            self._listener.demand_certificates(ca_file, newest)

    def heal(self) -> None:
        """End every fault."""
        self._slow_s = 0.0
        self._down = False

    def pause(self, seconds: float | None = None) -> None:
        """Wait so many seconds (default: what `slow()` said). Raises ConnectionAbortedError when stopped meanwhile."""
        seconds = self._slow_s if seconds is None else seconds
        if seconds <= 0:
            return
        self.paused += 1
        if seconds < NAP_S:
            time.sleep(seconds)  # a tenth of the CPU of an event's wait
        if self._stopping.is_set() or (seconds >= NAP_S and self._stopping.wait(seconds)):
            raise ConnectionAbortedError("the stand-in stops")

    def listen(self) -> Listener:
        self._stopping.clear()
        return Listener(self, (self.host, self._port), self._tls)

    def stop(self) -> None:
        """Close the port and every connection, waiting or not. It can start again, on the same port."""
        listener = self._listener
        self._stopping.set()
        super().stop()
        if isinstance(listener, Listener):
            listener.hang_up()
            listener.join()


class Listener(server.Listener):
    """The listening socket and the threads of its connections."""

    stand_in: StandIn

    def __init__(self, stand_in: StandIn, address: tuple[str, int], tls: tuple[str, str] | None) -> None:
        self._context: ssl.SSLContext | None = None
        if tls:
            self.show(tls)
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._conversations: set[threading.Thread] = set()
        super().__init__(stand_in, address, Exchange)

    def show(self, certificate: tuple[str, str]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self._context = context

    def demand_certificates(self, ca_file: str, newest: ssl.TLSVersion) -> None:
        assert self._context is not None
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.load_verify_locations(ca_file)
        self._context.maximum_version = newest

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return not self.stand_in.down

    def process_request(self, request: Any, client_address: Any) -> None:
        self.add(request)
        thread = threading.Thread(target=self._converse, args=(request, client_address), daemon=True)
        with self._lock:
            self._conversations.add(thread)
        thread.start()

    def add(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.add(connection)

    def discard(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(connection)

    def hang_up(self) -> None:
        with self._lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):  # not SSLSocket's own: that one turns TLS off under the reader
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def join(self) -> None:
        deadline = time.monotonic() + JOIN_S
        with self._lock:
            threads = list(self._conversations)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _converse(self, connection: socket.socket, client_address: Any) -> None:
        try:
            if self._context:  # here, not at accept(): a client that never shakes hands must not block the others
                raw = connection
                connection = self._context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
                self.discard(raw)
                self.add(connection)
                connection.do_handshake()
            Exchange(connection, client_address, self)
        except OSError:  # the client hung up, distrusts our certificate, or was cut
            pass
        except Exception:
            self.stand_in.crashes.append(traceback.format_exc())
        finally:
            self.discard(connection)
            self.shutdown_request(connection)
            with self._lock:
                self._conversations.discard(threading.current_thread())
