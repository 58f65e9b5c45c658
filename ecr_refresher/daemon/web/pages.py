"""What each path answers: probes, metrics, status and the page for people. Read-only; no I/O and no secret.

Everything is computed from the state that the supervisor published last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import floor
from typing import Any

import msgspec

from ..machine.due import next_boot
from ..machine.state import State
from . import metrics, status_page, view

Clock = Callable[[], float]
PLAIN = "text/plain; charset=utf-8"
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
    """A body, and how long it is true; times are on the boot clock."""

    state: State
    at: float
    until: float
    body: bytes


class Pages:
    """Answers by path. `now` reads the boot clock, `mono` the monotonic one."""

    def __init__(self, state: State, now: Clock, mono: Clock) -> None:
        self._state = state
        self._now = now
        self._mono = mono
        self._rendered: dict[str, _Rendered] = {}

    def publish(self, state: State) -> None:
        self._state = state

    def answer(self, method: str, target: str, accept: str = "", *, max_age: float = 0.0) -> Answer:
        """Answer one request; its body may be `max_age` seconds older than the state."""
        path, _, query = target.partition("?")
        pages: dict[str, Callable[[], Answer]] = {
            "/livez": lambda: self._probe(view.livez, self._mono, query),
            "/healthz": lambda: self._probe(view.livez, self._mono, query),
            "/readyz": lambda: self._probe(view.readyz, self._now, query),
            "/startupz": lambda: self._probe(view.startupz, self._now, query),
            "/metrics": lambda: self._metrics(accept, max_age),
            "/status": lambda: self._status(max_age),
            "/": lambda: self._page(max_age),
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

    def _metrics(self, accept: str, max_age: float) -> Answer:
        write, content_type = metrics.encoder(accept)
        media_type = content_type.partition(";")[0]

        def render(state: State, now: float) -> bytes:
            return write(metrics.StateCollector(state, now))

        return Answer(200, content_type, self._body(media_type, render, max_age, next_boot(self._state)))

    def _status(self, max_age: float) -> Answer:
        def render(state: State, now: float) -> bytes:
            return msgspec.json.format(msgspec.json.encode(self._document(state, now)), indent=2) + b"\n"

        return Answer(200, "application/json", self._body("status", render, max_age))

    def _page(self, max_age: float) -> Answer:
        def render(state: State, now: float) -> bytes:
            return status_page.render(self._document(state, now))

        return Answer(200, "text/html; charset=utf-8", self._body("page", render, max_age), _PAGE_HEADERS)

    def _document(self, state: State, now: float) -> dict[str, Any]:
        return view.status(state, now, self._mono())

    def _body(
        self, name: str, render: Callable[[State, float], bytes], max_age: float, until: float | None = None
    ) -> bytes:
        """Render a page, unless its last body is still true: the state is the same, and `until` has not come.

        Without `until` it is true until the next second of AWS's time, since times are shown in whole seconds.
        """
        state, now = self._state, self._now()
        last = self._rendered.get(name)
        if last is not None and (now - last.at < max_age or (last.state is state and now < last.until)):
            return last.body
        if until is None:
            until = now + 1.0 - (state.aws_time(now) - floor(state.aws_time(now)))
        body = render(state, now)
        self._rendered[name] = _Rendered(state, now, until, body)
        return body
