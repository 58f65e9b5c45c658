"""Simulated time: an event loop that jumps from one moment to the next, so that a year passes in a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Steps = Generator[float, None, T]  # a blocking call, taken apart: each number that it yields is a wait in seconds
NEVER = float("inf")


class Life(Protocol):
    """The process that a thread belongs to."""

    dead: bool

    def frozen_until(self) -> float:
        """When a frozen process (a suspended host) goes on; a moment of the past for one that runs."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks in the order of their time; nothing waits, nothing is read from the machine."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._clock_resolution = 1e-6  # finer ones are lost in the sum of large times
        self._selector = self

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """Stands in for the selector: nothing can happen before the next timer, so that comes at once."""
        if timeout is None:
            self.stop()
        elif timeout > 0:
            self._now += timeout
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run a call that is written as `Steps`; its process is the executor's business, so `func` brings it along."""
        answer: asyncio.Future[Any] = self.create_future()
        life, steps = func(*args)
        self.call_soon(_Thread(self, life, steps, answer).go_on)
        return answer


class _Thread:
    """One blocking call under way. Like a real thread it goes on when nobody waits for its answer any more."""

    def __init__(self, loop: VirtualLoop, life: Life, steps: Steps[Any], answer: asyncio.Future[Any]) -> None:
        self._loop, self._life, self._steps, self._answer = loop, life, steps, answer

    def go_on(self) -> None:
        if self._life.dead:
            self._steps.close()
            return
        thaws = self._life.frozen_until()
        if thaws > self._loop.time():
            self._loop.call_at(thaws, self.go_on)
            return
        try:
            pause = next(self._steps)
        except StopIteration as end:
            if not self._answer.done():
                self._answer.set_result(end.value)
        except Exception as error:
            if not self._answer.done():
                self._answer.set_exception(error)
        else:
            if pause != NEVER:
                self._loop.call_later(pause, self.go_on)
