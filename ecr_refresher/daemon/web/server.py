"""The HTTP server of probes, metrics and status pages: h11 on the asyncio loop that it is started in.

Every client is bounded in bytes and seconds, and gets one answer at a time between others' turns.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from http import HTTPStatus
from typing import cast

import h11

from ... import logs
from ...core.plan import Server
from .listening import Certificate, listen
from .pages import PLAIN, Answer, Pages

CONNECTIONS_MAX = 128
TLS_CONNECTIONS_MAX = 16  # asyncio reserves a quarter of a megabyte for each
HEAD_MAX = 8192
CHUNK = 16384  # how much of a body waits in the buffer of one client
IN_FLIGHT_MAX = 8 << 20  # bytes of different bodies on their way to clients; one body alone may be larger
REQUEST_S = 5.0  # for a handshake, for a head to arrive, and for an answer to be read
IDLE_S = 75.0  # between two requests of one connection: longer than a scrape interval
CROWD = 8  # with more connections than this, a page may be CROWDED_AGE_S old
CROWDED_AGE_S = 1.0
SHORT_S = 1.0  # pause in accepting while the system has no descriptors or memory left
_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class WebServer:
    """Serves `pages` at the address in `settings`, in the running loop."""

    def __init__(self, pages: Pages, settings: Server) -> None:
        self.settings = settings
        self.port = 0  # known after the start
        self._pages = pages
        self._certificate: Certificate | None = None
        self._listeners: list[socket.socket] = []
        self._clients: dict[Client, None] = {}  # the one that has been idle longest comes first
        self._resume: asyncio.TimerHandle | None = None
        self.buffer = memoryview(bytearray(HEAD_MAX))  # shared: each client copies out of it at once

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
        if self._resume is not None:
            self._resume.cancel()
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        self._listeners.clear()
        for client in tuple(self._clients):
            client.drop()
        await asyncio.sleep(0)  # asyncio closes the sockets in the next turn of the loop

    # --- connections -------------------------------------------------------------------------------------------------
    def _watch(self) -> None:
        for listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Take one connection; the loop calls again for the next, after the turns of the clients that are ready."""
        loop = asyncio.get_running_loop()
        try:
            sock, _ = listener.accept()
        except OSError as error:
            if error.errno in _SHORT:
                for each in self._listeners:
                    loop.remove_reader(each)
                self._resume = loop.call_later(SHORT_S, self._watch)
            return
        sock.setblocking(False)
        most = CONNECTIONS_MAX if self._certificate is None else TLS_CONNECTIONS_MAX
        if len(self._clients) >= most:
            next(iter(self._clients)).drop()
        client = Client(self)
        self._clients[client] = None
        client.opening = asyncio.create_task(self._open(client, sock))

    async def _open(self, client: Client, sock: socket.socket) -> None:
        certificate = self._certificate
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: client,
                sock,
                ssl=None if certificate is None else certificate.context(),
                ssl_handshake_timeout=None if certificate is None else REQUEST_S,
                ssl_shutdown_timeout=None if certificate is None else REQUEST_S,
            )
        except (OSError, asyncio.CancelledError):  # the client is gone, has no TLS, or had to make room
            client.connection_lost(None)

    def forget(self, client: Client) -> None:
        self._clients.pop(client, None)

    def touch(self, client: Client) -> None:
        """The client is active: it is now the last one that has to make room."""
        if client in self._clients:
            del self._clients[client]
            self._clients[client] = None

    # --- answers -----------------------------------------------------------------------------------------------------
    def answer(self, request: h11.Request) -> Answer:
        method, target = request.method.decode("ascii"), request.target.decode("latin-1")
        accept = ",".join(value.decode("latin-1") for name, value in request.headers if name == b"accept")
        max_age = CROWDED_AGE_S if len(self._clients) > CROWD else 0.0
        try:
            return self._pages.answer(method, target, accept, max_age=max_age)
        except Exception as error:  # noqa: BLE001 - a fault in one page must not stop the answers to probes
            failure = logs.fault_of(error)
            logs.get().error("page_failed", reason=failure.reason, error=failure.message, fix=failure.fix)
            return Answer(500, PLAIN, b"A fault of ecr-refresher. Please report it\n")

    def bound_bytes_in_flight(self) -> None:
        """Drop the clients that read slowest while too many different bodies are kept for them."""
        sending = [client for client in self._clients if client.unsent is not None]
        sizes = {id(client.unsent): len(client.unsent or b"") for client in sending}
        while len(sizes) > 1 and sum(sizes.values()) > IN_FLIGHT_MAX:
            slowest = sending.pop(0)
            body = id(slowest.unsent)
            slowest.drop()
            if all(id(client.unsent) != body for client in sending):
                del sizes[body]


class Client(asyncio.BufferedProtocol):
    """One connection: reads a request, sends its answer, then reads the next."""

    def __init__(self, server: WebServer) -> None:
        self.opening: asyncio.Task[None] | None = None
        self._server = server
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_MAX)
        self._transport: asyncio.Transport | None = None
        self._unsent = memoryview(b"")
        self._blocked = False  # what was written has not left yet
        self._idle = False  # kept, and no byte of the next request has come
        self._timer = asyncio.get_running_loop().call_later(REQUEST_S, self.drop)

    @property
    def unsent(self) -> bytes | None:
        """The body that is on its way to this client; None when all of it has been handed over."""
        return cast("bytes", self._unsent.obj) if self._unsent else None

    def drop(self) -> None:
        """Cut the connection, whatever it is doing."""
        self._server.forget(self)
        self._timer.cancel()
        self._unsent = memoryview(b"")
        if self._transport is not None:
            self._transport.abort()
        elif self.opening is not None:
            self.opening.cancel()

    # --- what asyncio calls ------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=1)  # pause_writing as soon as something has to wait

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._server.forget(self)
        self._timer.cancel()
        self._unsent = memoryview(b"")

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._server.buffer

    def buffer_updated(self, count: int) -> None:
        self._http.receive_data(bytes(self._server.buffer[:count]))
        if self._idle:
            self._idle = False
            self._allow(REQUEST_S)
        if self._is(h11.IDLE):
            self._read()

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        asyncio.get_running_loop().call_soon(self._send)  # not at once: TLS calls this from within write()

    # --- one request after the other ---------------------------------------------------------------------------------
    def _allow(self, seconds: float) -> None:
        self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.drop)

    def _read(self) -> None:
        if self._transport is None or self._transport.is_closing() or not self._is(h11.IDLE):
            return
        try:
            event = self._http.next_event()
            if not isinstance(event, h11.Request):
                return  # more of the head has to come
            has_body = not isinstance(self._http.next_event(), h11.EndOfMessage)
        except h11.RemoteProtocolError as error:
            self._answer(Answer(error.error_status_hint, PLAIN, b"Not a valid request\n"))
        else:
            self._server.touch(self)
            self._answer(self._server.answer(event), keep=not has_body, head_only=event.method == b"HEAD")

    def _answer(self, answer: Answer, *, keep: bool = False, head_only: bool = False) -> None:
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            *answer.headers.items(),
        ]
        if not keep:  # what follows is the request's body, or nothing that can be read
            headers.append(("Connection", "close"))
        self._allow(REQUEST_S)
        self._write(
            h11.Response(status_code=answer.status, reason=HTTPStatus(answer.status).phrase.encode(), headers=headers)
        )
        self._unsent = memoryview(b"" if head_only else answer.body)
        if len(self._unsent) > CHUNK:
            self._server.bound_bytes_in_flight()
        self._send()

    def _send(self) -> None:
        """Hand over as much of the body as the client reads."""
        if not self._is(h11.SEND_BODY):
            return
        while self._unsent and not self._blocked:
            chunk, self._unsent = self._unsent[:CHUNK], self._unsent[CHUNK:]
            self._write(h11.Data(data=chunk))  # type: ignore[arg-type] # any bytes-like object will do
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._blocked:
            transport.pause_reading()
            return
        self._http.send(h11.EndOfMessage())
        if self._is(h11.MUST_CLOSE):
            transport.close()  # the timer still runs, for what asyncio has yet to send
            return
        self._http.start_next_cycle()
        transport.resume_reading()
        self._idle = not self._http.trailing_data[0]
        self._allow(IDLE_S if self._idle else REQUEST_S)
        asyncio.get_running_loop().call_soon(self._read)

    def _write(self, event: h11.Response | h11.Data) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._http.send(event) or b"")

    def _is(self, state: object) -> bool:
        return self._http.our_state is state
