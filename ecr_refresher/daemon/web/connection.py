"""One client's connection: requests in, answers out, within bounds of bytes and time. It never waits."""

from __future__ import annotations

import selectors
from collections.abc import Callable

from . import http_wire
from .pages import PLAIN, Answer, Pages
from .streams import Plain

NOT_HTTP = Answer(400, PLAIN, b"not HTTP/1\n")
OUR_FAULT = Answer(500, PLAIN, b"a fault of ecr-refresher, please report it\n")
HEAD_MAX = 8192
REQUEST_S = 5.0  # for one head to arrive, and for one answer to be taken
IDLE_S = 75.0  # between two requests of a connection that is kept: longer than a scrape interval
ANSWERS_AT_ONCE = 8  # to one client, before others have their turn
_END_OF_HEAD = b"\r\n\r\n"

Clock = Callable[[], float]


class Connection:
    """One client. Goes on as far as it can each time; raises Waits where it can't, EOFError at its end."""

    def __init__(self, stream: Plain, pages: Pages, now: Clock) -> None:
        self.stream = stream
        self.events = selectors.EVENT_READ  # what it waits for
        self._pages, self._now = pages, now
        self.quiet_since = now()
        self.ends_at = self.quiet_since + REQUEST_S  # unless it goes on until then
        self._shaken = False
        self._come = bytearray()
        self._going = memoryview(b"")
        self._keep = True

    def go_on(self) -> None:
        """Take requests in, and answer each in turn; none is begun before the answer to the one before is taken.

        Returns where others shall have their turn before it goes on. Raises OSError as well.
        """
        if not self._shaken:
            self.stream.shake_hands()
            self._shaken = True
        for _ in range(ANSWERS_AT_ONCE):
            self._send()
            self._answer(self._head())

    def _send(self) -> None:
        if self._going:
            while self._going:
                self._going = self._going[self.stream.send(self._going) :]
            self.ends_at = self._now() + (REQUEST_S if self._come else IDLE_S)
        if not self._keep:
            raise EOFError

    def _head(self) -> bytes:
        """The next head, whole, without its end. Raises EOFError at the end, and where it is longer than it may be."""
        while (end := self._come.find(_END_OF_HEAD)) < 0 and len(self._come) <= HEAD_MAX:
            come = self.stream.receive(HEAD_MAX)
            if not come:
                raise EOFError
            if not self._come:
                self.ends_at = self._now() + REQUEST_S
            self._come += come
        if not 0 <= end <= HEAD_MAX:
            raise EOFError
        head = bytes(self._come[:end])
        del self._come[: end + len(_END_OF_HEAD)]
        return head

    def _answer(self, head: bytes) -> None:
        request = http_wire.read(head)
        try:
            answer = NOT_HTTP if request is None else self._pages.answer(request.method, request.target, request.accept)
        except Exception:  # noqa: BLE001 - a fault of ours in one page must not end the answers to probes
            answer = OUR_FAULT
        self._keep = request is not None and request.keep
        with_body = request is None or request.method != "HEAD"
        self._going = memoryview(http_wire.write(answer, keep=self._keep, body=with_body))
        self.quiet_since = self._now()
        self.ends_at = self.quiet_since + REQUEST_S
