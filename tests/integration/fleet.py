"""Many daemons in one process: the real step, the real pass and the real adapter, each with its own state and draws.

What differs from daemons: their loop is a thread, their worker runs in it, and tokens come from a book.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

from ecr_refresher.boot_clock import boot_time
from ecr_refresher.core import wire
from ecr_refresher.core.model import Credential, Failure, Outcome, Secret
from ecr_refresher.core.plan import Plan, Principal, Registry
from ecr_refresher.daemon.machine import due, events, step
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.refresh.refresh_pass import RefreshPass
from ecr_refresher.job.refresh.tools import RealTools
from tests.testbed.standins.tokens import TokenBook


@dataclasses.dataclass(frozen=True)
class Write:
    """One write into Airflow."""

    client: int
    at: float
    until: float


class Fleet:
    """`count` clients of one plan, all begun in the same moment, as a rollout begins them.

    `before_write` is called by each with its number, between look and write.
    """

    def __init__(
        self,
        plan: Plan,
        book: TokenBook,
        count: int,
        before_write: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.plan, self.book = plan, book
        self.before_write = before_write
        self.writes: list[Write] = []
        self.failures: list[Failure] = []
        self.looks = 0
        self.clients = [Client(self, number) for number in range(count)]
        self._threads = [threading.Thread(target=client.live, daemon=True) for client in self.clients]
        self.over = threading.Event()

    def __enter__(self) -> Fleet:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(30)

    def not_ready(self) -> list[int]:
        now = boot_time()
        return [client.number for client in self.clients if not client.state.ready(now)]

    def crashes(self) -> list[str]:
        return [client.crash for client in self.clients if client.crash]


class Client:
    """One daemon."""

    def __init__(self, fleet: Fleet, number: int) -> None:
        self.fleet, self.number = fleet, number
        self.crash = ""
        self.state = step.initial(number * 7919 + 1, wire.Load(), boot_time(), time.time(), time.monotonic())
        self._job: wire.Job | None = None

    def live(self) -> None:
        try:
            while not self.fleet.over.is_set():
                self._apply(events.Turn(time.time(), time.monotonic()))
                job, self._job = self._job, None
                if job is not None:
                    self._work(job)
                    self._apply(events.Exited("exit status 0"))
                    continue
                self.fleet.over.wait(max(0.01, min(1.0, due.next_boot(self.state) - boot_time())))
        except Exception as error:
            self.crash = f"client {self.number}: {error!r}"

    def _apply(self, event: events.Event) -> None:
        self.state, actions = step.step(self.state, event, boot_time())
        for action in actions:
            if isinstance(action, events.Start):
                self._job = action.job

    def _work(self, job: wire.Job) -> None:
        lock = threading.Lock()

        def report(line: wire.Line) -> None:
            with lock:
                self._note(line)
                self._apply(events.Reported(job.id, (line,)))

        clock = AwsClock(job.clock_offset)
        if job.load is not None:
            report(wire.Planned(self.fleet.plan))
        tools = Tools(self.fleet.plan, clock, report)
        tools.client = self
        asyncio.run(RefreshPass(job, self.fleet.plan, tools).run())
        report(wire.Done())

    def _note(self, line: wire.Line) -> None:
        if isinstance(line, wire.Looked):
            self.fleet.looks += 1
        if isinstance(line, wire.Delivered):
            if line.failure is not None:
                self.fleet.failures.append(line.failure)
            elif line.outcome is Outcome.WRITTEN and line.until is not None:
                self.fleet.writes.append(Write(self.number, time.time(), line.until))


class Tools(RealTools):
    """The worker's own tools, but for AWS."""

    client: Client

    def fetch(self, principal: Principal) -> Credential:
        token = self.client.fleet.book.issue()
        password = HeldUp(token.password, lambda: self.client.fleet.before_write(self.client.number))
        return Credential("AWS", password, float(int(token.issued_at)), float(int(token.expires_at)))

    def prove(self, tried: Registry, credential: Credential) -> None:
        pass


class HeldUp(Secret):
    """A password that holds up whoever reads it. Only a write reads it: the look is over then."""

    def __init__(self, text: str, hold_up: Callable[[], None]) -> None:
        super().__init__(text)
        self._hold_up = hold_up

    def reveal(self) -> str:
        self._hold_up()
        return super().reveal()


def renewals(writes: list[Write], life_s: float) -> list[int]:
    """How many writes each renewal took, the first delivery first: a pause of a third of a life parts two."""
    counts: list[int] = []
    last = -float("inf")
    for write in sorted(writes, key=lambda each: each.at):
        if write.at - last > life_s / 3:
            counts.append(0)
        counts[-1] += 1
        last = write.at
    return counts


@contextlib.contextmanager
def reader(read: Callable[[], tuple[int, str | None]], every_s: float = 0.3) -> Any:
    """Ask again and again; gives the list of answers: status and what was read."""
    answers: list[tuple[int, str | None]] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(every_s):
            answers.append(read())

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join()
