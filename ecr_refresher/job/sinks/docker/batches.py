"""Requests of many threads, done in few acts: what arrives during one act shares the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batches(Generic[T, R]):
    """Has `act` do requests, one batch at a time. It returns a result for each; all share what it raises."""

    def __init__(self, act: Callable[[Sequence[T]], Sequence[R]]) -> None:
        self._act = act
        self._changed = threading.Condition()
        self._acting = False
        self._pending: list[tuple[T, Future[R]]] = []

    def do(self, request: T) -> R:
        """Return the request's result, from an act of this thread or of another one."""
        mine = Future[R]()
        with self._changed:
            self._pending.append((request, mine))
            self._changed.wait_for(lambda: mine.done() or not self._acting)
            if not mine.done():
                self._acting, batch, self._pending = True, self._pending, []
        if not mine.done():
            self._do(batch)
        return mine.result()

    def _do(self, batch: Sequence[tuple[T, Future[R]]]) -> None:
        try:
            results = self._act([request for request, _ in batch])
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)
        except Exception as error:  # noqa: BLE001 - raised in each thread that shares the batch
            for _, future in batch:
                future.set_exception(error)
        finally:
            with self._changed:
                self._acting = False
                self._changed.notify_all()
