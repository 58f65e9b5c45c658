"""The HTTP server of probes, metrics and status pages, on the asyncio loop that it is started in."""

import asyncio
import errno
import socket
from functools import partial
from operator import attrgetter

import h11

from ... import logs
from ...core.plan import Server
from .connection import Connection, Stream, TlsStream
from .listening import Certificate, listen
from .pages import PLAIN, Answer, Pages

CONNECTIONS_MAX = 128
TLS_CONNECTIONS_MAX = 48  # OpenSSL keeps a tenth of a megabyte for each
ACCEPTS_A_TURN = 4
IN_FLIGHT_MAX = 8 << 20  # bytes of different bodies that clients are still reading; one body alone may be larger
GRACE_S = 0.05  # no connection is closed sooner to make room: the client needs the time to send its request
SHORT_S = 1.0  # pause in accepting while the system has no descriptors or memory left
_active_at = attrgetter("stream.active_at")
_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class WebServer:
    """Serves `pages` at the address in `settings`."""

    def __init__(self, pages: Pages, settings: Server) -> None:
        """Listen, in the running loop. Raises OSError if the port is taken or the certificate can't be read."""
        self.settings = settings
        self._pages = pages
        self._open: dict[Connection, asyncio.Task[None]] = {}
        self._resting: asyncio.TimerHandle | None = None
        self._certificate = None if settings.tls_cert is None else Certificate(settings.tls_cert, settings.tls_key)
        self._listeners = listen(settings.host, settings.port)
        self.port: int = self._listeners[0].getsockname()[1]
        self._watch()

    async def stop(self) -> None:
        """Free the port and cut all connections."""
        if self._resting is not None:
            self._resting.cancel()
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        self._listeners.clear()
        tasks = list(self._open.values())
        for connection in tuple(self._open):
            self._drop(connection)
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- connections -------------------------------------------------------------------------------------------------
    def _watch(self) -> None:
        for listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _rest(self, seconds: float) -> None:
        """Accept no connections for a while; they wait in the backlog."""
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.remove_reader(listener)
        self._resting = loop.call_later(seconds, self._watch)

    def _accept(self, listener: socket.socket) -> None:
        """Take some connections. If there are more, the loop calls again after it has served the others."""
        loop, certificate = asyncio.get_running_loop(), self._certificate
        most = CONNECTIONS_MAX if certificate is None else TLS_CONNECTIONS_MAX
        for taken in range(ACCEPTS_A_TURN):
            if len(self._open) >= most:
                if taken:
                    return  # nobody is dropped unless another is known to wait; if so, the loop calls again
                idlest = min(self._open, key=_active_at)
                to_wait = _active_at(idlest) + GRACE_S - loop.time()
                if to_wait > 0:
                    self._rest(to_wait)
                    return
                self._drop(idlest)
            try:
                sock, _ = listener.accept()
            except OSError as error:
                if error.errno in _SHORT:
                    self._rest(SHORT_S)
                return
            connection = Connection(Stream(sock) if certificate is None else TlsStream(sock, certificate.context()))
            self._open[connection] = task = loop.create_task(connection.serve(self._answer))
            task.add_done_callback(partial(self._forget, connection))

    def _drop(self, connection: Connection) -> None:
        self._open.pop(connection).cancel()

    def _forget(self, connection: Connection, task: asyncio.Task[None]) -> None:
        self._open.pop(connection, None)
        connection.stream.close()
        if not task.cancelled() and (error := task.exception()) is not None:
            logs.get().error("connection_failed", **logs.fault_of(error).fields)

    def _make_room(self, body: bytes) -> None:
        """Drop clients that have been reading longest while too many different bodies are kept for them."""
        while True:
            reading = [connection for connection in self._open if connection.sending not in (b"", body)]
            bodies = {id(connection.sending): len(connection.sending) for connection in reading}
            if not bodies or sum(bodies.values()) + len(body) <= IN_FLIGHT_MAX:
                return
            self._drop(min(reading, key=_active_at))

    # --- answers -----------------------------------------------------------------------------------------------------
    def _answer(self, request: h11.Request) -> Answer:
        method, target = request.method.decode("ascii"), request.target.decode("latin-1")
        accept = ",".join(value.decode("latin-1") for name, value in request.headers if name == b"accept")
        try:
            answer = self._pages.answer(method, target, accept)
        except Exception as error:  # noqa: BLE001 - a fault in one page must not stop the answers to probes
            logs.get().error("page_failed", **logs.fault_of(error).fields)
            return Answer(500, PLAIN, b"A fault of ecr-refresher. Please report it\n")
        self._make_room(answer.body)
        return answer
