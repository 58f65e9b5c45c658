"""Things that many threads need and that are made once, without a lock held meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

from ...core.model import Failed

T = TypeVar("T")


class MadeOnce:
    """Makes each thing in a daemon thread of its own: a maker that hangs holds up only those who need its thing.

    A failure is kept as well, since the schedule is the only retry layer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # for the table only
        self._made: dict[Hashable, Future[Any]] = {}

    def get(self, key: Hashable, make: Callable[[], T], wait_s: float | None = None) -> T:
        """Return the thing; the first to ask starts its making.

        Raises what `make` raised, or TimeoutError after `wait_s`.
        """
        with self._lock:
            is_first = key not in self._made
            future: Future[T] = self._made.setdefault(key, Future())
        if is_first:
            threading.Thread(target=_make, args=(future, make), daemon=True).start()
        try:
            return future.result(wait_s)
        except Failed as error:
            raise Failed.of(error.failure) from None


def _make(future: Future[T], make: Callable[[], T]) -> None:
    try:
        future.set_result(make())
    except BaseException as error:  # noqa: BLE001 - raised again in the threads that wait
        future.set_exception(error)
