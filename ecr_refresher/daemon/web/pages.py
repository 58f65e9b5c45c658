"""What each path answers: probes, metrics, status and the page for people. Read-only; no I/O and no secret.

Everything is computed from the state that the supervisor published last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from ..machine.due import next_boot
from ..machine.state import State
from . import metrics, status_page, view

Clock = Callable[[], float]
PLAIN = "text/plain; charset=utf-8"
# A page that took some time to render is kept for so many times as long, so that a flood can't keep the loop busy.
KEPT_TIMES = 10
KEPT_MAX_S = 1.0
_PAGE_HEADERS = {"Content-Security-Policy": status_page.POLICY, "Referrer-Policy": "no-referrer"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back. The body is shared by all clients that get the same page."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Rendered:
    """A body. It is true for `state` until `true_until`, and good enough until `kept_until` (on the boot clock)."""

    body: bytes
    state: State
    true_until: float
    kept_until: float


class Pages:
    """Answers by path. `now` reads the boot clock, `mono` the monotonic one."""

    def __init__(self, state: State, now: Clock, mono: Clock) -> None:
        self._state = state
        self._now = now
        self._mono = mono
        self._rendered: dict[str, _Rendered] = {}

    def publish(self, state: State) -> None:
        self._state = state

    def answer(self, method: str, target: str, accept: str = "") -> Answer:
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
            return Answer(404, PLAIN, b"Not found. Ask for / /livez /readyz /startupz /metrics or /status\n")
        if method not in ("GET", "HEAD"):
            return Answer(405, PLAIN, b"Only GET and HEAD are allowed\n", {"Allow": "GET, HEAD"})
        return pages[path]()

    def _probe(self, probe: Callable[[State, float], view.Probe], clock: Clock, query: str) -> Answer:
        found = probe(self._state, clock())
        verbose = any(part.partition("=")[0] == "verbose" for part in query.split("&"))
        text = found.verbose() if verbose else ("ok\n" if found.ok else "failed\n")
        return Answer(200 if found.ok else 503, PLAIN, text.encode())

    def _metrics(self, accept: str) -> Answer:
        write, content_type = metrics.encoder(accept)

        def render(state: State, now: float) -> bytes:
            return write(metrics.StateCollector(state, now))

        media_type, _, _ = content_type.partition(";")
        return Answer(200, content_type, self._body(media_type, render, next_boot(self._state)))

    def _status(self) -> Answer:
        def render(state: State, now: float) -> bytes:
            document = msgspec.json.encode(view.status(state, now, self._mono()))
            return msgspec.json.format(document, indent=2) + b"\n"

        return Answer(200, "application/json", self._body("status", render, self._next_second()))

    def _page(self) -> Answer:
        def render(state: State, now: float) -> bytes:
            return status_page.render(view.status(state, now, self._mono()))

        body = self._body("page", render, self._next_second())
        return Answer(200, "text/html; charset=utf-8", body, _PAGE_HEADERS)

    def _next_second(self) -> float:
        """When the next second of AWS's time begins: pages show times in whole seconds."""
        now = self._now()
        return now + 1.0 - self._state.aws_time(now) % 1.0

    def _body(self, name: str, render: Callable[[State, float], bytes], true_until: float) -> bytes:
        """The last body while it is true or was expensive to render; else a new one."""
        state, now, last = self._state, self._now(), self._rendered.get(name)
        if last is not None and (now < last.kept_until or (last.state is state and now < last.true_until)):
            return last.body
        began = self._mono()
        body = render(state, now)
        kept_until = self._now() + min(KEPT_MAX_S, KEPT_TIMES * (self._mono() - began))
        self._rendered[name] = _Rendered(body, state, true_until, kept_until)
        return body
