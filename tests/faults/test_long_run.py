"""Renewals without end, with faults in between: no growth of memory, files, threads or zombies in the real daemon.

In the suite a few hundred renewals, or as many as fit into its time; `make soak` makes 12,000.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGUSR1

import pytest

from tests.faults.conftest import SOAK, World, children, resident_mb
from tests.testbed.daemon import Daemon
from tests.testbed.processes import wait_until
from tests.testbed.standins.aws_faults import Denied, ServerError, Throttled
from tests.testbed.standins.script import Cut, HalfAnswer

REGIONS = [f"{area}-{number}" for area in ("us-east", "us-west", "eu-west", "ap-southeast") for number in (1, 2, 3)]
ACCOUNTS = ("123456789012", "210987654321")
LIFE_S = 10.0 if SOAK else 60.0  # in the suite the machine has more to do
RENEWALS = 12_000 if SOAK else 240
LIMIT_S = 7200.0 if SOAK else 20.0
GROWTH = {"memory_mb": 2.0, "files": 3, "threads": 1, "zombies": 1}  # from the first to the last tenth, less than


@dataclass
class Figures:
    """What the daemon held, looked at while no pass ran."""

    memory_mb: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    zombies: list[int] = field(default_factory=list)

    def look(self, daemon: Daemon) -> None:
        process = Path(f"/proc/{daemon.pid}")
        left = children(daemon.pid)
        states = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in left if _there(pid)]
        self.memory_mb.append(resident_mb(daemon.pid))
        self.files.append(len(list((process / "fd").iterdir())))
        self.threads.append(len(list((process / "task").iterdir())))
        self.zombies.append(states.count("Z"))


def _there(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").exists()


def tenths(figures: list[float] | list[int]) -> tuple[float, float]:
    """The medians of the first and of the last tenth."""
    part = max(1, len(figures) // 10)
    return statistics.median(figures[:part]), statistics.median(figures[-part:])


def misfortune(world: World, daemon: Daemon, rng: random.Random) -> None:
    """What befalls the next pass; most of them nothing."""
    match rng.randrange(12):
        case 0:
            world.ecr.next(ServerError(), Throttled(), Denied())
        case 1:
            world.ecr.next(Cut(), HalfAnswer())
        case 2:
            world.airflow.next(Cut(processed=True), method="PATCH")
        case 3:
            daemon.signal(SIGHUP)
        case 4:
            world.config_file.write_text("{")
        case 5:
            world.front.refuse()
        case _:
            pass


@pytest.mark.timeout(LIMIT_S + 300)
def test_renewals_without_end_leave_nothing_behind(world: World) -> None:
    """Tokens are renewed long before they end, by SIGUSR1: as fast as workers can be started."""
    world.book.life_s = LIFE_S
    hosts = [f"{account}.dkr.ecr.{region}.amazonaws.com" for account in ACCOUNTS for region in REGIONS]
    world.settings["registries"] = [{"host": host, "registry_url": world.front.url} for host in hosts]
    world.settings["airflow"]["connections"] = {f"docker_{number}": host for number, host in enumerate(hosts)}
    daemon = world.start()
    daemon.wait_for(lambda status: status["ready"])
    rng, figures, began = random.Random(3), Figures(), time.monotonic()

    def renewals() -> int:
        return len(world.book.all_issued())

    while renewals() < RENEWALS and time.monotonic() - began < LIMIT_S:
        misfortune(world, daemon, rng)
        daemon.signal(SIGUSR1)
        wait_until(lambda: children(daemon.pid), 30, "a worker")
        for worker in children(daemon.pid):
            if rng.randrange(12) == 0:
                os.kill(worker, SIGKILL)
            wait_until(lambda pid=worker: not _there(pid), 60, "its end")  # type: ignore[misc]
        if world.config_file.exists() and world.config_file.read_text() == "{":
            world.config_file.unlink()
        world.front.heal()
        wait_until(lambda: not children(daemon.pid), 60, "an idle daemon")
        assert daemon.get("/livez").status == 200
        figures.look(daemon)
    print(f"\n{renewals()} renewals in {time.monotonic() - began:.0f} s, {len(figures.files)} looks")
    for name, values in vars(figures).items():
        first, last = tenths(values)
        print(f"{name}: {first:.1f} in the first tenth, {last:.1f} in the last, {max(values):.1f} at most")
        assert last - first < GROWTH[name], name
    assert renewals() >= (RENEWALS if SOAK else 2 * len(hosts))  # in the suite a busy machine makes fewer in the time
    world.heal()
    daemon.signal(SIGUSR1)
    daemon.wait_for(lambda status: status["ready"] and not any(slot["last_error"] for slot in status["slots"]), 60)
    assert daemon.stop() == 0
