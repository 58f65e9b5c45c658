"""Requests of many threads, done in few acts: what comes while one act is under way waits, and shares the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Together(Generic[T, R]):
    """Has `act` do the requests, a batch at a time, in the thread of one of those who ask.

    `act` gives a result for each request, in their order; what it raises is raised to all who share the batch.
    """

    def __init__(self, act: Callable[[Sequence[T]], Sequence[R]]) -> None:
        self._act = act
        self._turn = threading.Lock()  # held during an act
        self._door = threading.Lock()  # held for a moment, to come in or to let all in
        self._waiting: list[tuple[T, Future[R]]] = []

    def do(self, request: T, wait_s: float) -> R:
        """Give the request's result. Raises TimeoutError if others' acts take longer than `wait_s`."""
        mine = request, Future[R]()
        with self._door:
            self._waiting.append(mine)
        if not self._turn.acquire(timeout=wait_s):
            with self._door:
                if mine in self._waiting:
                    self._waiting.remove(mine)
            raise TimeoutError
        try:
            if not mine[1].done():
                self._do_all()
        finally:
            self._turn.release()
        return mine[1].result()

    def _do_all(self) -> None:
        with self._door:
            batch, self._waiting = self._waiting, []
        try:
            results = self._act([request for request, _ in batch])
        except Exception as error:  # noqa: BLE001 - raised by each who shares the batch
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(result)
