"""A small HTTP/1.1 server in threads: quiet, quick to stop, able to be slow and to be down.

`StandIn` is the base of all stand-ins: it listens between `start()` and `stop()`, and hands every request to
`respond()` as an `Exchange`.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

from .exchange import Exchange

JOIN_S = 5.0
NAP_S = 0.1


class StandIn(ABC):
    """A server of one kind; a context manager that listens while it is entered.

    `down` and `slow()` are its faults on the wire, `heal()` ends them. `clock` (seconds since the epoch) plus
    `date_offset_s` is what the `Date` header says. `crashes` holds the tracebacks of the stand-in's own mistakes: a
    test may assert that there are none.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: tuple[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        date_offset_s: float = 0.0,
    ) -> None:
        """Prepare to listen at `host` and `port` (0: any free one, kept over restarts).

        `tls` is the pair of paths (certificate chain, key), both PEM.
        """
        self.host = host
        self.clock = clock
        self.date_offset_s = date_offset_s
        self.crashes: list[str] = []
        self._port = port
        self._tls = tls
        self._slow_s = 0.0
        self._down = False
        self._stopping = threading.Event()
        self._listener: Listener | None = None
        self._loop: threading.Thread | None = None

    @abstractmethod
    def respond(self, exchange: Exchange) -> None:
        """Answer one request; called in the connection's own thread."""

    @property
    def port(self) -> int:
        """The port; raises RuntimeError while none is known yet."""
        if not self._port:
            raise RuntimeError("this stand-in has no port before its first start()")
        return self._port

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}"

    @property
    def down(self) -> bool:
        """While true, open connections are cut and new ones closed at once; for a refused port use `stop()`."""
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        self._down = down
        if down and self._listener:
            self._listener.hang_up()

    def slow(self, seconds: float) -> None:
        """Wait so long before every answer from now on."""
        self._slow_s = seconds

    def show(self, certificate: tuple[str, str]) -> None:
        """Show another certificate (chain and key, paths) from now on, to those who come anew."""
        self._tls = certificate
        if self._listener:
            self._listener.hang_up()
            self._listener.show(certificate)

    def heal(self) -> None:
        """End every fault."""
        self._slow_s = 0.0
        self._down = False

    def pause(self, seconds: float | None = None) -> None:
        """Wait so many seconds (default: what `slow()` said); raises ConnectionAbortedError when stopped meanwhile."""
        seconds = self._slow_s if seconds is None else seconds
        if seconds <= 0:
            return
        if seconds < NAP_S:
            time.sleep(seconds)  # takes a tenth of the CPU of an event's wait, which ends when the stand-in stops
        if self._stopping.is_set() or (seconds >= NAP_S and self._stopping.wait(seconds)):
            raise ConnectionAbortedError("the stand-in stops")

    def start(self) -> Self:
        """Listen. Raises OSError if the port is taken."""
        if self._listener is None:
            self._stopping.clear()
            self._listener = Listener(self, (self.host, self._port), self._tls)
            self._port = int(self._listener.server_address[1])
            loop = self._listener.serve_forever
            self._loop = threading.Thread(target=loop, args=(0.02,), name=type(self).__name__, daemon=True)
            self._loop.start()
        return self

    def stop(self) -> None:
        """Close the port and every connection, waiting or not; may be started again, on the same port."""
        listener, loop = self._listener, self._loop
        if listener is None or loop is None:
            return
        self._stopping.set()
        listener.shutdown()
        loop.join()
        listener.server_close()
        listener.hang_up()
        listener.join()
        self._listener = self._loop = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class Listener(socketserver.TCPServer):
    """The listening socket and the threads of its connections."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, stand_in: StandIn, address: tuple[str, int], tls: tuple[str, str] | None) -> None:
        self.stand_in = stand_in
        self._context: ssl.SSLContext | None = None
        if tls:
            self.show(tls)
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        super().__init__(address, Exchange)

    def show(self, certificate: tuple[str, str]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self._context = context

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return not self.stand_in.down

    def process_request(self, request: Any, client_address: Any) -> None:
        self.add(request)
        thread = threading.Thread(target=self._converse, args=(request, client_address), daemon=True)
        with self._lock:
            self._threads.add(thread)
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
            threads = list(self._threads)
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
        except OSError:  # the client left, distrusts our certificate, or was cut
            pass
        except Exception:  # noqa: BLE001 - a thread's last resort; tests look at it
            self.stand_in.crashes.append(traceback.format_exc())
        finally:
            self.discard(connection)
            self.shutdown_request(connection)
            with self._lock:
                self._threads.discard(threading.current_thread())
