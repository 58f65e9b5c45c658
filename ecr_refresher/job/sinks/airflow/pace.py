"""When the next request to one server may go: no faster than it allows, and not before its `Retry-After`."""

import threading
import time
from collections.abc import Callable

from ....core.model import Failed, Reason

PATIENCE_S = 5.0  # a longer rest than this is the schedule's to wait for, not a thread's


class Pace:
    """Requests to one server by many threads; each calls `wait` before it sends."""

    def __init__(
        self,
        every_s: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._every_s = every_s
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next_at = monotonic()
        self._reason = Reason.THROTTLED

    def wait(self, who: str) -> None:
        """Wait for this request's turn. Raises Failed at once where `who` has asked for a long rest."""
        with self._lock:
            now = self._monotonic()
            rest_s = max(0.0, self._next_at - now)
            if rest_s > PATIENCE_S:
                message = f"{who} has asked for no more requests for {rest_s:.0f} s"
                fix = "Raise its limit on requests, or wait until it is up again"
                raise Failed(self._reason, message, fix, retry_after_s=rest_s)
            self._next_at = now + rest_s + self._every_s
        if rest_s:
            self._sleep(rest_s)

    def rest(self, seconds: float, reason: Reason) -> None:
        """Let nobody send anything for that long."""
        with self._lock:
            self._next_at = max(self._next_at, self._monotonic() + seconds)
            self._reason = reason
