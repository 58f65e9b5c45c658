"""What is answered, by path: probes, metrics, status, the page for people. Read-only; no I/O, and no secret.

The loop that decides publishes its state by one assignment; everything is computed from that at the moment of asking.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..machine.state import State, next_boot
from . import metrics, status_page, view

Clock = Callable[[], float]
_PLAIN = "text/plain; charset=utf-8"
_PAGE_HEADERS = (f"Content-Security-Policy: {status_page.POLICY}", "Referrer-Policy: no-referrer")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back; of `headers` each is a whole line."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[str, ...] = ()


NOT_HTTP = Answer(400, _PLAIN, b"not HTTP/1\n")
OUR_FAULT = Answer(500, _PLAIN, b"a fault of ecr-refresher, please report it\n")


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
