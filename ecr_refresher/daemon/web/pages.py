"""What each path answers: probes, metrics, status and the page for people. Read-only; no I/O and no secret.

Everything is computed from the state that the supervisor published last.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from ..machine.due import next_boot
from ..machine.state import State
from . import metrics, status_page, view

Clock = Callable[[], float]
Headers = tuple[tuple[str, str], ...]
PLAIN = "text/plain; charset=utf-8"
# A page that took some time to render is kept for so many times as long, so that a flood can't keep the loop busy.
KEPT_TIMES = 10
KEPT_MAX_S = 1.0
_PAGE_HEADERS = (("Content-Security-Policy", status_page.POLICY), ("Referrer-Policy", "no-referrer"))


class Answer(NamedTuple):
    """What is sent back. The body is shared by all clients that get the same page."""

    status: int
    content_type: str
    body: bytes
    headers: Headers = ()


class _Rendered(NamedTuple):
    """A body. It is true for `state` until `true_until`, and good enough until `kept_until` (on the boot clock)."""

    body: bytes
    state: State
    true_until: float
    kept_until: float


class Pages:
    """Answers by path. `now` reads the boot clock, `mono` the monotonic one."""

    def __init__(self, state: State, now: Clock, mono: Clock) -> None:
        self.state = state  # the supervisor puts each new one here
        self._now = now
        self._mono = mono
        self._rendered: dict[str, _Rendered] = {}  # by media type

    def answer(self, method: str, target: str, accept: str = "") -> Answer:
        path, _, query = target.partition("?")
        pages: dict[str, Callable[[], Answer]] = {
            "/livez": lambda: _probe(view.livez(self.state, self._mono()), query),
            "/healthz": lambda: _probe(view.livez(self.state, self._mono()), query),
            "/readyz": lambda: _probe(view.readyz(self.state, self._now()), query),
            "/startupz": lambda: _probe(view.startupz(self.state, self._now()), query),
            "/metrics": lambda: self._metrics(accept),
            "/status": lambda: self._document("application/json", _json),
            "/": lambda: self._document("text/html; charset=utf-8", status_page.render, _PAGE_HEADERS),
        }
        if path not in pages:
            return Answer(404, PLAIN, b"Not found. Ask for / /livez /readyz /startupz /metrics or /status\n")
        if method not in ("GET", "HEAD"):
            return Answer(405, PLAIN, b"Only GET and HEAD are allowed\n", (("Allow", "GET, HEAD"),))
        return pages[path]()

    def _metrics(self, accept: str) -> Answer:
        write, content_type = metrics.encoder(accept)
        true_until = next_boot(self.state)
        return self._kept(content_type, lambda now: write(metrics.StateCollector(self.state, now)), true_until)

    def _document(self, content_type: str, write: Callable[[dict[str, Any]], bytes], headers: Headers = ()) -> Answer:
        now = self._now()
        next_second = now + 1.0 - self.state.aws_time(now) % 1.0  # documents show AWS's time in whole seconds
        answer = self._kept(content_type, lambda now: write(view.status(self.state, now, self._mono())), next_second)
        return answer._replace(headers=headers)

    def _kept(self, content_type: str, render: Callable[[float], bytes], true_until: float) -> Answer:
        """The last body while it is true or was expensive to render; else a new one."""
        media_type = content_type.partition(";")[0]
        state, now, last = self.state, self._now(), self._rendered.get(media_type)
        if last is None or (now >= last.kept_until and (last.state is not state or now >= last.true_until)):
            began = self._mono()
            body = render(now)
            kept_until = self._now() + min(KEPT_MAX_S, KEPT_TIMES * (self._mono() - began))
            last = self._rendered[media_type] = _Rendered(body, state, true_until, kept_until)
        return Answer(200, content_type, last.body)


def _probe(found: view.Probe, query: str) -> Answer:
    verbose = any(part.partition("=")[0] == "verbose" for part in query.split("&"))
    text = found.verbose() if verbose else ("ok\n" if found.ok else "failed\n")
    return Answer(200 if found.ok else 503, PLAIN, text.encode())


def _json(status: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(status), indent=2) + b"\n"
