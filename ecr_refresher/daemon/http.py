"""Probes, metrics and status over HTTP, in a thread of its own. Read-only; no handler does I/O or holds a secret.

asyncio's server, with bounds on everything that a bad client could stretch: connections, bytes of a head, time. The
loop that decides publishes its state by one assignment; everything is computed from that at the moment of asking.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core.plan import Server
from . import metrics, status_page, view
from .state import State, next_boot

HEAD_MAX = 8192
CONNECTIONS_MAX = 64
CONNECTIONS_BURST = 256  # for as long as GRACE_S: a probe among a flood shall have the time to say what it wants
GRACE_S = 0.5
REQUEST_S = 5.0  # for one head to arrive, and for one answer to be taken
STOP_S = 1.0
IDLE_S = 75.0  # between two requests of a connection that is kept: longer than a scrape interval

Clock = Callable[[], float]
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
_PLAIN = "text/plain; charset=utf-8"
_PAGE_HEADERS = (f"Content-Security-Policy: {status_page.POLICY}", "Referrer-Policy: no-referrer")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: str
    body: bytes
    headers: tuple[str, ...] = ()


class Pages:
    """Answers by path. The metrics' text is kept until something has changed, or will have by itself."""

    def __init__(self, state: State, now: Clock, mono: Clock) -> None:
        self._state = state
        self._now = now
        self._mono = mono
        self._texts: dict[bool, tuple[State, float, bytes]] = {}

    def publish(self, state: State) -> None:
        """Take over a new state; called from the loop's thread, one assignment and no lock."""
        self._state = state

    def answer(self, method: str, target: str, accept: str) -> Answer:
        path, _, query = target.partition("?")
        pages: dict[str, Callable[[], Answer]] = {
            "/livez": lambda: self._probe(view.livez, self._mono, query),
            "/healthz": lambda: self._probe(view.livez, self._mono, query),
            "/readyz": lambda: self._probe(view.readyz, self._now, query),
            "/startupz": lambda: self._probe(view.startupz, self._now, query),
            "/metrics": lambda: self._metrics(accept),
            "/status": self._status,
            "/": self._page,
        }
        if path not in pages:
            return Answer(404, _PLAIN, b"not found; there are / /livez /readyz /startupz /metrics /status\n")
        if method not in ("GET", "HEAD"):
            return Answer(405, _PLAIN, b"only GET and HEAD\n", ("Allow: GET, HEAD",))
        return pages[path]()

    def _probe(self, probe: Callable[[State, float], view.Probe], clock: Clock, query: str) -> Answer:
        found = probe(self._state, clock())
        verbose = any(part.partition("=")[0] == "verbose" for part in query.split("&"))
        text = found.verbose() if verbose else ("ok\n" if found.ok else "failed\n")
        return Answer(200 if found.ok else 503, _PLAIN, text.encode())

    def _metrics(self, accept: str) -> Answer:
        wanted = "application/openmetrics-text" in accept
        state, now = self._state, self._now()
        kept = self._texts.get(wanted)
        if kept is None or kept[0] is not state or now >= kept[1]:
            kept = (state, next_boot(state), metrics.render(state, now, as_openmetrics=wanted))
            self._texts[wanted] = kept
        return Answer(200, metrics.OPENMETRICS if wanted else metrics.TEXT, kept[2])

    def _status(self) -> Answer:
        return Answer(200, "application/json", json.dumps(self._view(), indent=2).encode() + b"\n")

    def _page(self) -> Answer:
        return Answer(200, "text/html; charset=utf-8", status_page.render(self._view()), _PAGE_HEADERS)

    def _view(self) -> dict[str, Any]:
        return view.status(self._state, self._now(), self._mono())


class HttpServer:
    """The thread that answers. `start` returns when the port is bound, or raises OSError."""

    def __init__(self, pages: Pages, server: Server) -> None:
        self._pages = pages
        self.settings = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="http", daemon=True)
        self._server: asyncio.Server | None = None
        # Since when each is quiet; the one that has been so for longest stands first.
        self._open: dict[asyncio.StreamWriter, float] = {}
        self.port = 0

    def start(self) -> None:
        """Bind and serve. Raises OSError where the port is taken or the certificate can't be read."""
        try:
            self._server = self._loop.run_until_complete(self._listen(self.settings))
        except BaseException:
            self._loop.close()
            raise
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread.start()

    async def _listen(self, settings: Server) -> asyncio.Server:
        context: ssl.SSLContext | None = None
        if settings.tls_cert is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(settings.tls_cert, settings.tls_key)
        return await asyncio.start_server(
            self._connected,
            settings.host,
            settings.port,
            ssl=context,
            ssl_handshake_timeout=None if context is None else REQUEST_S,
            ssl_shutdown_timeout=None if context is None else REQUEST_S,
            limit=HEAD_MAX,
            backlog=CONNECTIONS_MAX,
        )

    def stop(self) -> None:
        """Free the port and cut what is open: a thread that runs on would meet an interpreter in dissolution."""
        server, self._server = self._server, None
        if server is None:
            return
        asyncio.run_coroutine_threadsafe(self._cut(server), self._loop)
        self._thread.join(STOP_S)
        if not self._thread.is_alive():
            self._loop.close()

    async def _cut(self, server: asyncio.Server) -> None:
        server.close()
        latest = self._loop.time() + STOP_S / 2
        while (others := asyncio.all_tasks() - {asyncio.current_task()}) and self._loop.time() < latest:
            for writer in self._open:
                writer.transport.abort()
            await asyncio.wait(others, timeout=STOP_S / 10, return_when=asyncio.FIRST_COMPLETED)
        self._loop.stop()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._make_room()
        self._open[writer] = self._loop.time()
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that stops, stalls or talks nonsense is just let go
        finally:
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()  # TLS waits for the other side's farewell
            self._open.pop(writer, None)

    def _make_room(self) -> None:
        """Whoever comes is answered: who has been quiet for longest has to go, but not before he could speak."""
        if len(self._open) < CONNECTIONS_MAX:
            return
        quietest, since = next(iter(self._open.items()))
        if len(self._open) >= CONNECTIONS_BURST or self._loop.time() - since > GRACE_S:
            del self._open[quietest]
            quietest.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wait_s, keep = REQUEST_S, True
        while keep:
            first = await asyncio.wait_for(reader.readexactly(1), wait_s)
            head = first + await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_S)
            self._open.pop(writer, None)
            self._open[writer] = self._loop.time()
            method, answer, keep = self._read(head)
            writer.write(_http(answer, keep=keep, body=method != "HEAD"))
            await asyncio.wait_for(writer.drain(), REQUEST_S)
            wait_s = IDLE_S

    def _read(self, head: bytes) -> tuple[str, Answer, bool]:
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
            return "GET", Answer(400, _PLAIN, b"not HTTP/1\n"), False
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        answer = self._pages.answer(words[0], words[1], headers.get("accept", ""))
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        keep = words[2] == "HTTP/1.1" and headers.get("connection", "").lower() != "close" and not has_body
        return words[0], answer, keep


def _http(answer: Answer, *, keep: bool, body: bool) -> bytes:
    head = [
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        f"Connection: {'keep-alive' if keep else 'close'}",
        *answer.headers,
    ]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + (answer.body if body else b"")
