"""One connection of a client: h11 over a socket, within bounds of bytes and seconds."""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

import h11

from .pages import PLAIN, Answer

HEAD_MAX = 8192  # bytes of a request's head
TLS_RECORD = 16384  # bytes
TLS_STEP_MAX = 65536  # bytes that a client may send for one handshake, or for the next bytes of a request
REQUEST_S = 5.0  # for a TLS handshake, for a head to arrive, and for an answer to be read
IDLE_S = 75.0  # between two requests of one connection; longer than a scrape interval

T = TypeVar("T")


class Stream:
    """Bytes over TCP. Its methods raise OSError."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self.active_at = asyncio.get_running_loop().time()  # when the client connected or last sent something

    async def open(self) -> None:
        pass

    async def receive(self) -> bytes:
        """The next bytes; none at the end of the connection."""
        loop = asyncio.get_running_loop()
        some = await loop.sock_recv(self._sock, HEAD_MAX)
        await asyncio.sleep(0)  # the loop serves others, however fast this client sends
        self.active_at = loop.time()
        return some

    async def send(self, some: bytes | memoryview) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, some)

    async def end(self) -> None:
        pass

    def close(self) -> None:
        self._sock.close()


class TlsStream(Stream):
    """Bytes over TLS. asyncio's own TLS would take a quarter of a megabyte for each connection."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(sock)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def open(self) -> None:
        await self._complete(self._tls.do_handshake)

    async def receive(self) -> bytes:
        return await self._complete(lambda: self._tls.read(HEAD_MAX))

    async def send(self, some: bytes | memoryview) -> None:
        for start in range(0, len(some), TLS_RECORD):
            self._tls.write(some[start : start + TLS_RECORD])
            await self._flush()

    async def end(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):  # the client's own end of TLS, which nobody needs
            self._tls.unwrap()
        await self._flush()

    async def _complete(self, step: Callable[[], T]) -> T:
        """Repeat a step until it has received all that it needs. Raises OSError if that takes too much."""
        taken = 0
        while taken <= TLS_STEP_MAX:
            try:
                done = step()
            except ssl.SSLWantReadError:
                await self._flush()
                some = await super().receive()
                taken += len(some)
                if some:
                    self._incoming.write(some)
                else:
                    self._incoming.write_eof()
            else:
                await self._flush()
                return done
        raise OSError(errno.EMSGSIZE, "a flood of TLS records that hold nothing, such as key updates")

    async def _flush(self) -> None:
        await super().send(self._outgoing.read())


class Connection:
    """Reads a request, sends its answer, then reads the next."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_MAX)
        self.sending = b""  # the body that the client is reading

    async def serve(self, answer: Callable[[h11.Request], Answer]) -> None:
        """Answer all requests; returns when the connection is at its end."""
        try:
            async with asyncio.timeout(REQUEST_S):
                await self.stream.open()
            wait_s = REQUEST_S
            while (request := await self._request(wait_s)) is not None:
                has_body = not isinstance(self._http.next_event(), h11.EndOfMessage)
                await self._send(answer(request), keep=not has_body, head_only=request.method == b"HEAD")
                if self._http.our_state is h11.MUST_CLOSE:
                    break
                self._http.start_next_cycle()
                wait_s = IDLE_S
                await asyncio.sleep(0)  # let the loop serve others
            await self.stream.end()
        except h11.RemoteProtocolError as error:
            with contextlib.suppress(OSError):
                await self._send(Answer(error.error_status_hint, PLAIN, b"Not a valid request\n"), keep=False)
        except OSError:  # the client has left, is too slow, or speaks no TLS
            pass

    async def _request(self, wait_s: float) -> h11.Request | None:
        """The next request, of which the first byte comes within `wait_s`; None at the end of the connection."""
        if not self._http.trailing_data[0]:
            async with asyncio.timeout(wait_s):
                self._http.receive_data(await self.stream.receive())
        async with asyncio.timeout(REQUEST_S):
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self.stream.receive())
        return event if isinstance(event, h11.Request) else None

    async def _send(self, answer: Answer, *, keep: bool, head_only: bool = False) -> None:
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            *answer.headers,
        ]
        if not keep:  # a body follows, which nobody reads
            headers.append(("Connection", "close"))
        reason = HTTPStatus(answer.status).phrase.encode()
        head = self._http.send(h11.Response(status_code=answer.status, reason=reason, headers=headers)) or b""
        self.sending = b"" if head_only else answer.body
        self._http.send(h11.Data(data=self.sending))
        self._http.send(h11.EndOfMessage())
        async with asyncio.timeout(REQUEST_S):
            await self.stream.send(head)
            await self.stream.send(self.sending)
        self.sending = b""
