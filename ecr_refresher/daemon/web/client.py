"""One connection of a client: h11 on an asyncio transport, within bounds of bytes and seconds.

A client gets one answer at a time, and the loop serves others between two answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import cast

import h11

from .pages import PLAIN, Answer

CONNECTIONS_MAX = 128
HEAD_MAX = 8192  # bytes of a request's head
CHUNK = 16384  # bytes of a body that wait in the buffer of one client
CHUNKS_A_TURN = 4  # before others have their turn
IN_FLIGHT_MAX = 8 << 20  # bytes of different bodies that clients are still reading; one body alone may be larger
REQUEST_S = 5.0  # for a TLS handshake and a head to arrive, and for an answer to be read
IDLE_S = 75.0  # between two requests of one connection; longer than a scrape interval

AnswerTo = Callable[[h11.Request], Answer]


class Clients:
    """The open connections, the one that has been idle longest first."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(HEAD_MAX))  # for all of them: each takes its bytes out at once
        self._open: dict[Client, None] = {}

    def __iter__(self) -> Iterator[Client]:
        return iter(tuple(self._open))

    def __contains__(self, client: Client) -> bool:
        return client in self._open

    def add(self, client: Client) -> None:
        """Add a client, and make room: close the connection that has been idle longest."""
        if len(self._open) >= CONNECTIONS_MAX:
            next(iter(self._open)).drop()
        self._open[client] = None

    def remove(self, client: Client) -> None:
        self._open.pop(client, None)

    def touch(self, client: Client) -> None:
        """Note that the client is active."""
        if client in self:
            del self._open[client]
            self._open[client] = None

    def bound_bytes_in_flight(self) -> None:
        """Drop clients that have been reading longest while too many different bodies are kept for all of them."""
        sending = [client for client in self if client.unsent is not None]
        while sending:
            bodies = {id(client.unsent): len(client.unsent or b"") for client in sending}
            if len(bodies) == 1 or sum(bodies.values()) <= IN_FLIGHT_MAX:
                return
            sending.pop(0).drop()


class Client(asyncio.BufferedProtocol):
    """Reads a request, sends its answer, then reads the next."""

    def __init__(self, clients: Clients, answer: AnswerTo) -> None:
        self._clients = clients
        self._answer_to = answer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_MAX)
        self._transport: asyncio.Transport | None = None
        self._unsent = memoryview(b"")
        self._blocked = False  # the client does not read what was sent
        self._idle = False  # kept, and no byte of the next request has come
        self._timer = asyncio.get_running_loop().call_later(REQUEST_S, self.drop)
        clients.add(self)

    @property
    def unsent(self) -> bytes | None:
        """The body that the client is reading; None if there is nothing left to send."""
        return cast("bytes", self._unsent.obj) if self._unsent else None

    def drop(self) -> None:
        """Cut the connection, whatever it is doing."""
        self._forget()
        if self._transport is not None:
            self._transport.abort()

    def _forget(self) -> None:
        self._clients.remove(self)
        self._timer.cancel()
        self._unsent = memoryview(b"")

    def _allow(self, seconds: float) -> None:
        self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.drop)

    # --- what asyncio calls ------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(0)  # pause_writing as soon as something has to wait
        if self not in self._clients:  # dropped meanwhile
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._forget()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._clients.buffer

    def buffer_updated(self, count: int) -> None:
        self._receive(bytes(self._clients.buffer[:count]))

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        self._send()

    # --- one request after the other ---------------------------------------------------------------------------------
    def _receive(self, some: bytes) -> None:
        self._http.receive_data(some)
        if self._idle:
            self._idle = False
            self._allow(REQUEST_S)
        self._read()

    def _read(self) -> None:
        if not self._is(h11.IDLE) or self._transport is None or self._transport.is_closing():
            return
        try:
            event = self._http.next_event()
            if not isinstance(event, h11.Request):
                return  # the head is not complete
            has_body = not isinstance(self._http.next_event(), h11.EndOfMessage)
        except h11.RemoteProtocolError as error:
            self._answer(Answer(error.error_status_hint, PLAIN, b"Not a valid request\n"), keep=False, head_only=False)
            return
        self._clients.touch(self)
        self._answer(self._answer_to(event), keep=not has_body, head_only=event.method == b"HEAD")

    def _answer(self, answer: Answer, *, keep: bool, head_only: bool) -> None:
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            *answer.headers.items(),
        ]
        if not keep:  # what follows is a body that nobody reads
            headers.append(("Connection", "close"))
        reason = HTTPStatus(answer.status).phrase.encode()
        self._allow(REQUEST_S)
        self._write(self._http.send(h11.Response(status_code=answer.status, reason=reason, headers=headers)))
        self._unsent = memoryview(b"" if head_only else answer.body)
        if len(self._unsent) > CHUNK:
            self._clients.bound_bytes_in_flight()
        self._send()

    def _send(self) -> None:
        """Send as much of the body as the client reads; after its end, go on with the next request."""
        if not self._is(h11.SEND_BODY) or self._transport is None:
            return
        for _ in range(CHUNKS_A_TURN):
            if self._unsent and not self._blocked:
                chunk, self._unsent = self._unsent[:CHUNK], self._unsent[CHUNK:]
                self._write(self._http.send(h11.Data(data=chunk)))  # type: ignore[arg-type] # any buffer will do
        if self._transport.is_closing():
            return
        if self._unsent or self._blocked:
            self._transport.pause_reading()
            if not self._blocked:
                asyncio.get_running_loop().call_soon(self._send)
            return
        self._http.send(h11.EndOfMessage())
        if self._is(h11.MUST_CLOSE):
            self._close()  # the timer still runs
            return
        self._http.start_next_cycle()
        self._transport.resume_reading()
        self._idle = not self._http.trailing_data[0]
        self._allow(IDLE_S if self._idle else REQUEST_S)
        asyncio.get_running_loop().call_soon(self._read)

    def _is(self, state: object) -> bool:
        return self._http.our_state is state

    # --- bytes out: TLS does this in its own way ---------------------------------------------------------------------
    def _write(self, some: bytes | None) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(some or b"")

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class TlsClient(Client):
    """A client that speaks TLS. With asyncio's own TLS each connection would take a quarter of a megabyte."""

    def __init__(self, clients: Clients, answer: AnswerTo, context: ssl.SSLContext) -> None:
        super().__init__(clients, answer)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._shaken = False

    def buffer_updated(self, count: int) -> None:
        self._incoming.write(self._clients.buffer[:count])
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            while some := self._tls.read(HEAD_MAX):
                self._receive(some)
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError:  # no TLS, or none that we speak
            self._flush()
            super()._close()
        else:
            super()._close()  # the client has closed

    def _flush(self) -> None:
        super()._write(self._outgoing.read())

    def _write(self, some: bytes | None) -> None:
        self._tls.write(some or b"")
        self._flush()

    def _close(self) -> None:
        with contextlib.suppress(ssl.SSLError):  # it would wait for the client's own end of TLS
            self._tls.unwrap()
        self._flush()
        super()._close()
