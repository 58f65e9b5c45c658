"""For how long a reader finds no valid connection while it is renewed: by us, and by the old script."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.renewal import old_script
from bench.world import CONNECTION, World, say


@dataclass(frozen=True)
class Gap:
    """Median seconds without the connection in one renewal, and how many reads found none, in all."""

    seconds: float
    misses: int
    reads: int


def gaps(world: World, runs: int) -> tuple[Gap, Gap]:
    """Ours and the script's."""
    say("gaps")
    daemon = world.daemon()
    daemon.wait_for("pass_finished", 1)
    ours: list[_Reader] = []
    scripts: list[_Reader] = []
    for _ in range(runs):
        daemon.calm()
        with _reading(world) as reader:
            daemon.one_pass()
        ours.append(reader)
    daemon.end()
    for _ in range(runs):
        with _reading(world) as reader:
            old_script(world)
        scripts.append(reader)
    return _gap(ours), _gap(scripts)


class _Reader:
    """Asks for the connection as fast as the server answers, in a thread of its own."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._login = world.airflow.login("admin")
        self.over = threading.Event()
        self.without_s, self.misses, self.reads = 0.0, 0, 0

    def read(self) -> None:
        path, last = f"/api/v2/connections/{CONNECTION}", time.monotonic()
        while not self.over.is_set():
            status, _ = self._world.airflow.request("GET", path, authorization=self._login)
            now = time.monotonic()
            self.reads += 1
            if status != 200:
                self.misses += 1
                self.without_s += now - last
            last = now


@contextmanager
def _reading(world: World) -> Iterator[_Reader]:
    reader = _Reader(world)
    thread = threading.Thread(target=reader.read)
    thread.start()
    try:
        yield reader
    finally:
        reader.over.set()
        thread.join()


def _gap(readers: list[_Reader]) -> Gap:
    seconds = statistics.median(reader.without_s for reader in readers)
    return Gap(seconds, sum(reader.misses for reader in readers), sum(reader.reads for reader in readers))
