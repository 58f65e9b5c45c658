"""What the daemon may cost, as the design has it. Medians and goals are for `make bench`."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import idle, renewal
from bench.world import World
from tests.integration.settings import story
from tests.testbed.airflow import Airflow
from tests.testbed.daemon import clean_environment
from tests.testbed.engine import Engine
from tests.testbed.registry import Registry
from tests.testbed.standins.ecr import EcrStandIn

pytestmark = [pytest.mark.real("airflow, engine, registry"), pytest.mark.xdist_group("beside")]

RESIDENT_MB, PEAK_MB, DAY_CPU_S, TIMES_LESS_THAN_CRON = 36, 110, 60, 5


@pytest.fixture
def world(airflow: Airflow, engine: Engine, registry: Registry, ecr: EcrStandIn, tmp_path: Path) -> Iterator[World]:
    """The world of the benchmarks, made of the tests' own parts."""
    registry.book.life_s = 12 * 3600
    environment = clean_environment(tmp_path, ecr_url=ecr.url, measured=False, env=registry.environment())
    settings = story(airflow, tmp_path, engine)
    with contextlib.closing(World(tmp_path, ecr, registry.front, airflow, settings, environment)) as world:
        yield world


@pytest.mark.timeout(400)
def test_memory_and_the_cpu_of_a_day_stay_within_the_budget(world: World) -> None:
    resting = idle.idle(world, for_s=65)  # at least one turn of the loop
    assert resting.resident_mb <= RESIDENT_MB, resting

    running, _ = renewal.start(world)
    running.calm()
    passes = [running.one_pass() for _ in range(3)]
    running.end()
    assert statistics.median(peak_mb for _, _, peak_mb in passes) <= PEAK_MB, passes

    renewal_s = statistics.median(cpu_s for _, cpu_s, _ in passes)
    day = renewal.day(renewal_s, renewal.old_script(world).cpu_s, idle.daily_parts(world, 2), resting.cpu_per_minute_s)
    assert day.ours_s <= DAY_CPU_S, day
    assert day.script_s >= TIMES_LESS_THAN_CRON * day.ours_s, day
