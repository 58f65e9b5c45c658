"""The daemon between passes: memory, wake-ups and CPU; and the CPU of what comes back all day."""

from __future__ import annotations

import http.client
import re
import time
from dataclasses import dataclass

from bench.world import World, say
from ecr_refresher.daemon.machine.state import RECHECK_S
from tests.testbed import parts
from tests.testbed.daemon import PRODUCT
from tests.testbed.measuring import measure, median

SCRAPES, SCRAPE_PAUSE_S = 100, 0.25
HEALTH_CHECKS = 5


@dataclass(frozen=True)
class Idle:
    """After three passes, when no worker runs: one process."""

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


@dataclass(frozen=True)
class Parts:
    """CPU seconds of one verification, one scrape and one health check, and how often the image checks its health."""

    verification_s: float
    scrape_s: float
    series: int
    health_s: float
    health_every_s: float


def daily_parts(world: World, verifications: int) -> Parts:
    """Measure what comes back all day. Each part counts in the process that it costs CPU in, the daemon included."""
    say("verifications, scrapes, health checks")
    daemon = world.daemon(refresh={"verify_every": "5s"})
    daemon.wait_for("pass_finished", 1)
    daemon.calm()
    before, cpu = daemon.count("pass_finished"), daemon.watched.cpu_s()
    daemon.wait_for("pass_finished", before + verifications, within_s=120 + 10 * verifications)
    daemon.calm()
    verification_s = (daemon.watched.cpu_s() - cpu) / (daemon.count("pass_finished") - before)
    daemon.end()

    daemon = world.daemon()
    daemon.wait_for("pass_finished", 1)
    daemon.calm()
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    text, cpu = b"", daemon.watched.own_cpu_s()
    for _ in range(SCRAPES):
        time.sleep(SCRAPE_PAUSE_S)  # as between Prometheus' scrapes, other work takes the processor's caches
        connection.request("GET", "/metrics")
        text = connection.getresponse().read()
    scrape_s = (daemon.watched.own_cpu_s() - cpu) / SCRAPES
    connection.close()

    every_s, command = health_check()
    environment = {**world.environment, "ECR_REFRESHER_LISTEN": f"127.0.0.1:{daemon.port}"}
    cpu = daemon.watched.own_cpu_s()
    asked = median([measure(command, environment).ok() for _ in range(HEALTH_CHECKS)])
    answered_s = (daemon.watched.own_cpu_s() - cpu) / HEALTH_CHECKS
    daemon.end()
    series = sum(bool(line) and not line.startswith(b"#") for line in text.splitlines())
    return Parts(verification_s, scrape_s, series, asked.cpu_s + answered_s, every_s)


def health_check() -> tuple[float, list[str]]:
    """Return the seconds between the image's health checks, and its check as a command that does not pause."""
    text = (parts.REPOSITORY / "Dockerfile").read_text()
    found = re.search(r"^HEALTHCHECK .*--interval=(\d+)s .*CMD \[\"ecr-refresher\", (.*)\]$", text, re.MULTILINE)
    assert found, "the Dockerfile's HEALTHCHECK has another form"
    words = [word.strip().strip('"') for word in found[2].split(",")]
    pause = re.fullmatch(r"--pause=(\d+)m", words[-1])
    assert pause, "the Dockerfile's HEALTHCHECK has another form"
    return float(found[1]) + 60 * float(pause[1]), [*PRODUCT, *words[:-1]]
