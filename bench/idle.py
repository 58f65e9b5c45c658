"""The daemon while nothing is to be done: memory, wake-ups, CPU; what a verification and a scrape cost it."""

from __future__ import annotations

import http.client
import statistics
import time
from dataclasses import dataclass

from bench.world import RunningDaemon, World, say
from ecr_refresher.daemon.machine.state import RECHECK_S


@dataclass(frozen=True)
class Idle:
    """After three passes, its workers gone: all processes together are the one."""

    resident_mb: float
    dirty_mb: float
    wakeups_per_minute: float
    cpu_per_minute_s: float
    threads: int
    descriptors: int
    end_s: float


def idle(world: World, for_s: float) -> Idle:
    daemon = world.daemon()
    daemon.wait_for("pass_finished", 1)
    for _ in range(2):
        daemon.calm()
        daemon.one_pass()
    for path in ("/metrics", "/"):  # what they load stays
        daemon.get(path)
    say(f"idle: {for_s:.0f} s")
    passes = daemon.count("pass_finished")
    daemon.wait_for("pass_finished", passes + 1, within_s=60 + 2 * RECHECK_S)  # the look that follows a write
    daemon.calm()
    watched = daemon.watched
    wakeups, cpu, began = watched.wakeups(), watched.own_cpu_s(), time.monotonic()  # looks are counted elsewhere
    resident, dirty = watched.memory_mb("Rss"), watched.memory_mb("Private_Dirty")
    time.sleep(for_s)
    minutes = (time.monotonic() - began) / 60
    wakeups_per_minute, cpu_per_minute = (watched.wakeups() - wakeups) / minutes, (watched.own_cpu_s() - cpu) / minutes
    threads, descriptors = watched.threads(), watched.descriptors()
    return Idle(resident, dirty, wakeups_per_minute, cpu_per_minute, threads, descriptors, daemon.end())


def verification_cpu_s(world: World, passes: int) -> float:
    """CPU seconds of one pass that only looks, as each `verify_every`."""
    daemon = world.daemon(refresh={"verify_every": "5s"})
    daemon.wait_for("pass_finished", 1)
    daemon.calm()
    before, cpu = daemon.count("pass_finished"), daemon.watched.cpu_s()
    daemon.wait_for("pass_finished", before + passes, within_s=120 + 10 * passes)
    daemon.calm()
    done = daemon.count("pass_finished") - before
    spent = daemon.watched.cpu_s() - cpu
    daemon.end()
    return spent / done


def spaced_scrapes(world: World) -> Scrapes:
    """As Prometheus scrapes: once in a while."""
    daemon = world.daemon()
    daemon.wait_for("pass_finished", 1)
    daemon.calm()
    spaced = scrapes(daemon, 100, pause_s=0.25)
    daemon.end()
    return spaced


@dataclass(frozen=True)
class Scrapes:
    """Of `/metrics`: median latency as the scraper sees it, and the daemon's CPU, in milliseconds each; its size."""

    latency_ms: float
    cpu_ms: float
    series: int


def scrapes(daemon: RunningDaemon, count: int, pause_s: float = 0.0) -> Scrapes:
    """So many on one connection; with pauses between them the machine has forgotten the daemon each time."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    latencies, text = list[float](), b""
    cpu = daemon.watched.own_cpu_s()
    for _ in range(count):
        time.sleep(pause_s)
        began = time.perf_counter()
        connection.request("GET", "/metrics")
        text = connection.getresponse().read()
        latencies.append((time.perf_counter() - began) * 1000)
    cpu = daemon.watched.own_cpu_s() - cpu
    connection.close()
    series = sum(bool(line) and not line.startswith(b"#") for line in text.splitlines())
    return Scrapes(statistics.median(latencies), cpu / count * 1000, series)
