"""Requests of many threads, done in few acts: what comes while one act is under way waits, and shares the next.

After each act comes a rest that is some times as long, so that acts which grow with what is there already (a file that
is written anew for each batch) take no more than their share of the time, however fast requests come. The rest ends
early when so many wait that no more can come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from math import inf
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

REST = 3.0  # times as long as the act: a quarter of the time is enough
REST_MAX_S = 0.5  # a disk that hangs is not made slower still


class _Entry(Generic[T, R]):
    """One request, and its thread's wait for its result or for the duty to act."""

    def __init__(self, request: T) -> None:
        self.request = request
        self.result: Future[R] = Future()
        self.leads = False
        self.called = threading.Event()


class Together(Generic[T, R]):
    """Has `act` do the requests, a batch at a time, in the thread of the one that has waited longest.

    `act` gives a result for each request, in their order; what it raises is raised to all who share the batch.
    """

    def __init__(
        self,
        act: Callable[[Sequence[T]], Sequence[R]],
        most: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """`most` is how many can wait at the same time: as many as there are threads for it."""
        self._act = act
        self._most = most
        self._enough = threading.Event()  # wait
        self._monotonic, self._sleep = monotonic, sleep or self._enough.wait
        self._rests_until = -inf
        self._lock = threading.Lock()  # never held during an act
        self._acting = False
        self._waiting: list[_Entry[T, R]] = []

    def do(self, request: T, wait_s: float) -> R:
        """Give the request's result. Raises TimeoutError if others' acts take longer than `wait_s`."""
        mine = _Entry[T, R](request)
        with self._lock:
            self._waiting.append(mine)
            if len(self._waiting) >= self._most:
                self._enough.set()
            if not self._acting:
                self._acting = True
                self._call_next()
        if not mine.called.wait(wait_s):
            with self._lock:
                if mine in self._waiting and not mine.leads:
                    self._waiting.remove(mine)
                if not mine.called.is_set():
                    raise TimeoutError
        if mine.leads:
            self._do_all()
        return mine.result.result()

    def _do_all(self) -> None:
        rest = self._rests_until - self._monotonic()
        if rest > 0:
            self._sleep(rest)
        with self._lock:
            batch, self._waiting = self._waiting, []
            self._enough.clear()
        began = self._monotonic()
        try:
            results = self._act([entry.request for entry in batch])
        except Exception as error:  # noqa: BLE001 - raised to each who shares the batch
            for entry in batch:
                entry.result.set_exception(error)
        else:
            for entry, result in zip(batch, results, strict=True):
                entry.result.set_result(result)
        finally:
            ended = self._monotonic()
            self._rests_until = ended + min(REST * (ended - began), REST_MAX_S)
            with self._lock:
                for entry in batch:
                    entry.called.set()
                self._acting = bool(self._waiting)
                self._call_next()

    def _call_next(self) -> None:
        """Have the one that has waited longest act. To be called under the lock."""
        for entry in self._waiting[:1]:
            entry.leads = True
            entry.called.set()
