"""Requests of many threads, done in few acts: what arrives during one act shares the next."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from ...core.model import Failed

T = TypeVar("T")
R = TypeVar("R")


class Batches(Generic[T, R]):
    """Has `act` do requests, one batch at a time. It returns a result for each; all share what it raises."""

    def __init__(self, act: Callable[[Sequence[T]], Sequence[R]], wait_s: float | None = None) -> None:
        self._act = act
        self._wait_s = wait_s
        self._changed = threading.Condition()  # held for no act
        self._acting = False
        self._pending: list[tuple[T, Future[R]]] = []

    def do(self, request: T) -> R:
        """The request's result. Raises TimeoutError where an act of another thread takes longer than `wait_s`."""
        mine = Future[R]()
        with self._changed:
            self._pending.append((request, mine))
            if not self._changed.wait_for(lambda: mine.done() or not self._acting, self._wait_s):
                raise TimeoutError
            if mine.done():
                return mine.result()
            self._acting, batch, self._pending = True, self._pending, []
        try:
            results = zip(batch, self._act([request for request, _ in batch]), strict=True)
            for (_, future), result in list(results):  # all of them first: too few raise
                future.set_result(result)
        except BaseException as error:  # noqa: BLE001 - raised in each thread that shares the batch, as its own object
            for _, future in batch:
                future.set_exception(Failed.of(error.failure) if isinstance(error, Failed) else error)
        finally:
            with self._changed:
                self._acting = False
                self._changed.notify_all()
        return mine.result()
