"""The server of probes, metrics and status: one thread, one selector, and bounds on all that a client could stretch.

It is made on sockets, since asyncio, which would do as well, is 6 of the daemon's 16 MB for some requests a minute.
"""

from __future__ import annotations

import errno
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from math import inf

from ...core.plan import Server
from .connection import Connection
from .listening import Certificate, listen
from .pages import Pages
from .streams import Plain, Tls, Waits

CONNECTIONS_MAX = 64
CONNECTIONS_BURST = 256  # for as long as GRACE_S: a probe among a flood shall have the time to say what it wants
GRACE_S = 0.5
STOP_S = 1.0
SHORT_S = 1.0  # no more connections are taken for so long where the system has no more descriptors or memory
_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

Clock = Callable[[], float]


class HttpServer:
    """The thread that answers. `start` returns when the port is bound, or raises OSError."""

    def __init__(self, pages: Pages, server: Server) -> None:
        self._pages = pages
        self.settings = server
        self.port = 0
        self._thread: threading.Thread | None = None
        self._end: socket.socket | None = None

    def start(self) -> None:
        """Bind and serve. Raises OSError where the port is taken or the certificate can't be read."""
        settings = self.settings
        shown = None if settings.tls_cert is None else Certificate(settings.tls_cert, settings.tls_key)
        listeners = listen(settings.host, settings.port)
        self.port = listeners[0].getsockname()[1]
        self._end, end = socket.socketpair()
        reception = Reception(self._pages, listeners, end, shown)
        self._thread = threading.Thread(target=reception.serve, name="http", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Free the port and cut what is open: a thread that runs on would meet an interpreter in dissolution."""
        if self._thread is not None and self._end is not None:
            self._end.close()
            self._thread.join(STOP_S)
            self._thread = None


class Reception:
    """Takes connections, and lets each go on when it can; ends when the other side of `end` is closed."""

    def __init__(
        self,
        pages: Pages,
        listeners: Sequence[socket.socket],
        end: socket.socket,
        certificate: Certificate | None,
        now: Clock = time.monotonic,
    ) -> None:
        self._pages, self._listeners, self._end, self._certificate, self._now = pages, listeners, end, certificate, now
        self._selector = selectors.DefaultSelector()
        self._open: dict[Connection, None] = {}  # the one that has been quiet for longest stands first
        self._again: set[Connection] = set()  # those that could go on at once
        self._listens_from = -inf  # later than now: the system was short of something

    def serve(self) -> None:
        """Serve until told to end, then close everything."""
        self._selector.register(self._end, selectors.EVENT_READ)
        self._listen()
        while self._turn():
            pass
        for connection in tuple(self._open):
            self._drop(connection)
        self._selector.close()
        for sock in (*self._listeners, self._end):
            sock.close()

    def _turn(self) -> bool:
        ready = [key for key, _ in self._selector.select(self._patience_s())]
        now = self._now()  # who has come while a page was made shall not pay for that
        going, self._again = self._again, set()
        for key in ready:
            if key.fileobj is self._end:
                return False
            if isinstance(key.data, Connection):
                going.add(key.data)
            else:
                self._accept(key.data)
        for connection in going & self._open.keys():
            self._go_on(connection)
        for connection in [connection for connection in self._open if connection.ends_at <= now]:
            self._drop(connection)
        if -inf < self._listens_from <= now:
            self._listen()
        return True

    def _patience_s(self) -> float | None:
        """How long the thread may sleep; None while nobody is there."""
        if self._again:
            return 0.0
        moments = [connection.ends_at for connection in self._open]
        if self._listens_from > -inf:
            moments.append(self._listens_from)
        return max(0.0, min(moments) - self._now()) if moments else None

    def _listen(self) -> None:
        self._listens_from = -inf
        for listener in self._listeners:
            self._selector.register(listener, selectors.EVENT_READ, listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError as error:
            if error.errno in _SHORT and self._listens_from == -inf:  # it would be told of them again and again
                self._listens_from = self._now() + SHORT_S
                for each in self._listeners:
                    self._selector.unregister(each)
            return
        self._make_room()
        try:
            stream = Plain(sock) if self._certificate is None else Tls(sock, self._certificate.context())
        except OSError:  # it has left already
            sock.close()
            return
        connection = Connection(stream, self._pages, self._now)
        self._open[connection] = None
        self._selector.register(stream.sock, connection.events, connection)
        self._again.add(connection)

    def _make_room(self) -> None:
        """Whoever comes is answered: who has been quiet for longest has to go, but not before he could speak."""
        if len(self._open) < CONNECTIONS_MAX:
            return
        quietest = next(iter(self._open))
        if len(self._open) >= CONNECTIONS_BURST or self._now() - quietest.quiet_since > GRACE_S:
            self._drop(quietest)

    def _go_on(self, connection: Connection) -> None:
        before = connection.quiet_since
        try:
            connection.go_on()
        except Waits as waits:
            events = selectors.EVENT_WRITE if waits.writable else selectors.EVENT_READ
            if events != connection.events:
                connection.events = events
                self._selector.modify(connection.stream.sock, events, connection)
        except (OSError, EOFError, ValueError):  # one that stops, stalls or talks nonsense is just let go
            self._drop(connection)
            return
        else:
            self._again.add(connection)
        if connection.quiet_since != before:
            del self._open[connection]
            self._open[connection] = None

    def _drop(self, connection: Connection) -> None:
        del self._open[connection]
        self._again.discard(connection)
        self._selector.unregister(connection.stream.sock)
        connection.stream.close()
