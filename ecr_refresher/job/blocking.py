"""Blocking calls of a pass or a check: in threads, a few at a time for each server, each with its own deadline.

What many of them need is made once. The threads are daemons: one that waits for a server that hangs never holds up the
end of the process.
"""

import asyncio
import mmap
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from .. import logs
from ..core import budgets
from ..core.model import Failed, Failure, Reason

T = TypeVar("T")
MORE_TIME = "raise refresh.deadline"
_THREAD = budgets.STACK + (1 << 20)  # bytes that a new thread takes: its stack, and memory for Python's objects


class BlockingCalls:
    """Runs blocking calls until `left`, the seconds that all of them still have, is used up.

    `whole` is what they are part of, and `more` how to give that more time, both as words of a failure.
    """

    def __init__(self, left: Callable[[], float], whole: str, more: str) -> None:
        self._left, self._whole, self._more = left, whole, more
        self._free: dict[str, asyncio.Semaphore] = {}
        self._threads = _DaemonThreads()

    async def run(self, server: str, at_once: int, limit_s: float, function: Callable[..., T], *args: object) -> T:
        """Call `function` once fewer than `at_once` calls to this server run; wait `limit_s` for its answer.

        The wait for its turn does not count. Raises Failed when time is up, and whatever the function raises.
        """
        free = self._free.setdefault(server, asyncio.Semaphore(at_once))
        try:
            async with asyncio.timeout(self._left()):
                await free.acquire()
        except TimeoutError:
            raise self._too_late() from None
        try:
            limit_s = min(limit_s, self._left())
            if limit_s <= 0:
                raise self._too_late()
            deadline = asyncio.timeout(limit_s)
            async with deadline:
                return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)
        except TimeoutError:
            if not deadline.expired():
                raise
            fix = "Find out what hangs; it is tried again"
            raise Failed(Reason.TRANSIENT, f"no answer within {limit_s:.0f} s", fix) from None
        finally:  # after a timeout as well: a server that lets one call hang may answer the next
            free.release()

    def _too_late(self) -> Failed:
        message = f"{self._whole} ended before its turn"
        return Failed(Reason.TRANSIENT, message, f"Find out what is slow, or {self._more}; it is tried again")


def in_time(limit_s: float, function: Callable[..., T], *args: object) -> T:
    """Call `function`, and wait `limit_s` for its answer. Raises Failed when time is up, and whatever it raises."""
    return asyncio.run(BlockingCalls(lambda: limit_s, "the pass", MORE_TIME).run("", 1, limit_s, function, *args))


class MadeOnce:
    """Things that many threads need. A maker that hangs holds up only those who need its thing.

    A failure is kept as well, since the schedule is the only retry layer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # for the table only
        self._made: dict[Hashable, Future[Any]] = {}

    def get(self, key: Hashable, make: Callable[[], T], wait_s: float | None = None) -> T:
        """Return the thing; the first to ask starts its making, in a thread of its own.

        Raises what `make` raised, or TimeoutError after `wait_s`.
        """
        with self._lock:
            future: Future[T] = self._made.get(key) or _DaemonThreads().submit(make)
            self._made[key] = future
        try:
            return future.result(wait_s)
        except Failed as error:
            raise Failed.of(error.failure) from None


def failure_of(error: BaseException) -> Failure:
    """What an exception comes to in a report: a fault of ours by its type and place, never by its values."""
    if isinstance(error, Failed):
        return error.failure
    if isinstance(error, MemoryError):
        return Failure(Reason.TRANSIENT, "the memory limit is reached", "Raise the memory limit of the container")
    return logs.fault_of(error)


class _DaemonThreads(Executor):
    """A thread for each call. The library's own pools are joined when the interpreter ends, hung threads too."""

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:  # a thread that dies as it begins, for want of memory, is waited for without end
            mmap.mmap(-1, _THREAD, mmap.MAP_PRIVATE).close()
        except OSError:
            raise MemoryError from None
        threading.Thread(target=_work, args=(future, lambda: function(*args, **kwargs)), daemon=True).start()
        return future


def _work(future: Future[T], function: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except Failed as error:
        error.__context__ = None  # like the traceback, it may hold an answer of the largest size
        future.set_exception(error.with_traceback(None))
    except BaseException as error:  # noqa: BLE001 - a library that calls sys.exit() ends its call, not the pass
        passable = isinstance(error, Exception) and not isinstance(error, StopIteration)
        future.set_exception(error if passable else Failed.of(failure_of(error)))
    else:
        future.set_result(result)
