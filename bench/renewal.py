"""One renewal, ours and others': wall time, CPU, memory; and what a day of them costs."""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from bench import aws_cli, credential_helper
from bench.world import CONNECTION, RunningDaemon, World, say
from tests.testbed.airflow_flavours import search_path
from tests.testbed.measuring import Cost, measure, median
from tests.testbed.registry import HOST

OLD_SCRIPT = Path(__file__).with_name("old_script.py")


@dataclass(frozen=True)
class Renewals:
    """Medians. `start_s`: from the daemon's start to the first delivery to all its slots."""

    once: Cost
    daemon: Cost
    script: Cost
    aws: Cost | None
    helper: Cost | None
    start_s: float


def renewals(world: World, runs: int, *, floor: bool = True) -> Renewals:
    """Each kind in turn, so that a busy moment of the machine hits all of them. `floor`: what delivers nothing, too."""
    aws = aws_cli.prepared() if floor else None
    helper = credential_helper.prepared() if floor else None
    once: list[Cost] = []
    daemon: list[Cost] = []
    script: list[Cost] = []
    login: list[Cost] = []
    helped: list[Cost] = []
    starts: list[float] = []
    for run in range(1, runs + 1):
        say(f"renewals: {run} of {runs}")
        once.append(measure(world.command("once", "--force", "--strict"), world.environment).ok())
        running, start_s = start(world)
        starts.append(start_s)
        running.calm()
        daemon.append(Cost(*running.one_pass()))
        running.end()
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
    )


def start(world: World) -> tuple[RunningDaemon, float]:
    """Start the daemon where nobody has delivered anything yet: it, and the seconds to the first delivery to all."""
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
    """CPU seconds of a day, ours by its parts. A write into Airflow is looked at once more, a minute later."""

    renewal_s: float
    look_s: float
    verification_s: float
    scrape_s: float
    idle_s: float
    script_s: float

    RENEWALS, VERIFICATIONS, SCRAPES, CRON_RUNS = 3, 24, 24 * 3600 // 15, 48

    @property
    def ours_s(self) -> float:
        return self.renewal_s + self.look_s + self.verification_s + self.scrape_s + self.idle_s


def day(measured: Renewals, verification_s: float, scrape_s: float, idle_per_minute_s: float) -> Day:
    """A day from the cost of its parts, each of them measured."""
    return Day(
        renewal_s=measured.daemon.cpu_s * Day.RENEWALS,
        look_s=verification_s * Day.RENEWALS,
        verification_s=verification_s * Day.VERIFICATIONS,
        scrape_s=scrape_s * Day.SCRAPES,
        idle_s=idle_per_minute_s * 24 * 60,
        script_s=measured.script.cpu_s * Day.CRON_RUNS,
    )
