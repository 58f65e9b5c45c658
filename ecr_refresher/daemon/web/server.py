"""The HTTP server of probes, metrics and status pages, on the asyncio loop that it is started in."""

from __future__ import annotations

import asyncio
import errno
import socket

import h11

from ... import logs
from ...core.plan import Server
from .client import Client, Clients, TlsClient
from .listening import Certificate, listen
from .pages import PLAIN, Answer, Pages

ACCEPTS_A_TURN = 16
SHORT_S = 1.0  # pause in accepting while the system has no descriptors or memory left
_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class WebServer:
    """Serves `pages` at the address in `settings`."""

    def __init__(self, pages: Pages, settings: Server) -> None:
        self.settings = settings
        self.port = 0  # known after the start
        self._pages = pages
        self._clients = Clients()
        self._certificate: Certificate | None = None
        self._listeners: list[socket.socket] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Listen. Raises OSError if the port is taken or the certificate can't be read."""
        settings = self.settings
        if settings.tls_cert is not None:
            self._certificate = Certificate(settings.tls_cert, settings.tls_key)
        self._listeners = listen(settings.host, settings.port)
        self.port = self._listeners[0].getsockname()[1]
        self._watch()

    async def stop(self) -> None:
        """Free the port and cut all connections."""
        if self._pause is not None:
            self._pause.cancel()
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        self._listeners.clear()
        for client in self._clients:
            client.drop()
        await asyncio.gather(*self._opening)
        await asyncio.sleep(0)  # asyncio closes the sockets in the next turn of the loop

    def _watch(self) -> None:
        for listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Take some connections. If there are more, the loop calls again after it has served the others."""
        loop = asyncio.get_running_loop()
        for _ in range(ACCEPTS_A_TURN):
            try:
                sock, _ = listener.accept()
            except OSError as error:
                if error.errno in _SHORT:
                    for each in self._listeners:
                        loop.remove_reader(each)
                    self._pause = loop.call_later(SHORT_S, self._watch)
                return
            opening = loop.create_task(_open(self._client(), sock))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)

    def _client(self) -> Client:
        if self._certificate is None:
            return Client(self._clients, self._answer)
        return TlsClient(self._clients, self._answer, self._certificate.context())

    def _answer(self, request: h11.Request) -> Answer:
        method, target = request.method.decode("ascii"), request.target.decode("latin-1")
        accept = ",".join(value.decode("latin-1") for name, value in request.headers if name == b"accept")
        try:
            return self._pages.answer(method, target, accept)
        except Exception as error:  # noqa: BLE001 - a fault in one page must not stop the answers to probes
            failure = logs.fault_of(error)
            logs.get().error("page_failed", reason=failure.reason, error=failure.message, fix=failure.fix)
            return Answer(500, PLAIN, b"A fault of ecr-refresher. Please report it\n")


async def _open(client: Client, sock: socket.socket) -> None:
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: client, sock)
    except OSError:  # the client has left
        sock.close()
        client.connection_lost(None)
