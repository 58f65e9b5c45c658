"""One renewal, ours and others': time, CPU and memory; and the CPU of a day."""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import aws_cli, credential_helper
from bench.idle import Parts
from bench.world import CONNECTION, RunningDaemon, World, say
from tests.testbed.airflow_flavours import search_path
from tests.testbed.measuring import Cost, measure, median
from tests.testbed.registry import HOST

OLD_SCRIPT = Path(__file__).with_name("old_script.py")


@dataclass(frozen=True)
class Renewals:
    """Medians. `start_s` and `far_start_s` are seconds from the daemon's start to the first delivery everywhere."""

    once: Cost
    daemon: Cost
    script: Cost
    aws: Cost | None
    helper: Cost | None
    start_s: float
    far_start_s: float


def renewals(world: World, runs: int, *, floor: bool = True) -> Renewals:
    """Measure each kind in turn, so that a busy moment of the machine slows all of them.

    `floor` measures the commands that only fetch a token, too.
    """
    aws = aws_cli.prepared() if floor else None
    helper = credential_helper.prepared() if floor else None
    once: list[Cost] = []
    daemon: list[Cost] = []
    script: list[Cost] = []
    login: list[Cost] = []
    helped: list[Cost] = []
    starts: list[float] = []
    far_starts: list[float] = []
    for run in range(1, runs + 1):
        say(f"renewals: {run} of {runs}")
        once.append(measure(world.command("once", "--force", "--strict"), world.environment).ok())
        running, start_s = start(world)
        starts.append(start_s)
        running.calm()
        daemon.append(Cost(*running.one_pass()))
        running.end()
        with world.far() as far:
            running, start_s = start(far)
            running.end()
        far_starts.append(start_s)
        script.append(old_script(world))
        if aws is not None:
            login.append(measure([str(aws), "ecr", "get-login-password"], world.environment).ok())
        if helper is not None:
            with credential_helper.surroundings(world.directory, world.ecr.book, world.environment) as environment:
                helped.append(measure(credential_helper.command(helper), environment).ok())
    world.fresh()
    return Renewals(
        median(once),
        median(daemon),
        median(script),
        median(login) if login else None,
        median(helped) if helped else None,
        statistics.median(starts),
        statistics.median(far_starts),
    )


def start(world: World) -> tuple[RunningDaemon, float]:
    """Start the daemon where nothing was delivered yet. Return it, and the seconds to the first delivery to all."""
    world.fresh()
    running = world.daemon()
    start_s = running.wait_for("delivered", 2)
    running.wait_for("pass_finished", 1)
    return running, start_s


def old_script(world: World) -> Cost:
    environment = world.airflow.env | world.environment | {"PATH": search_path(world.airflow.flavour)}
    return measure([sys.executable, str(OLD_SCRIPT), HOST, CONNECTION], environment, world.airflow.home).ok()


@dataclass(frozen=True)
class Day:
    """CPU seconds of a day, ours by its parts. A write into Airflow is looked at again, a minute later."""

    renewal_s: float
    look_s: float
    verification_s: float
    scrape_s: float
    health_s: float
    health_checks: int
    idle_s: float
    script_s: float

    RENEWALS, VERIFICATIONS, SCRAPES, CRON_RUNS = 3, 24, 24 * 3600 // 15, 48

    @property
    def ours_s(self) -> float:
        return self.renewal_s + self.look_s + self.verification_s + self.scrape_s + self.health_s + self.idle_s


def day(renewal_s: float, script_s: float, parts: Parts, idle_per_minute_s: float) -> Day:
    """Add up a day from its parts, each of them measured."""
    checks = round(24 * 3600 / parts.health_every_s)
    return Day(
        renewal_s=renewal_s * Day.RENEWALS,
        look_s=parts.verification_s * Day.RENEWALS,
        verification_s=parts.verification_s * Day.VERIFICATIONS,
        scrape_s=parts.scrape_s * Day.SCRAPES,
        health_s=parts.health_s * checks,
        health_checks=checks,
        idle_s=idle_per_minute_s * 24 * 60,
        script_s=script_s * Day.CRON_RUNS,
    )
