"""What the daemon may cost: memory, and its share of what the old script costs. Times are for `make bench`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import idle, renewal
from bench.world import World
from ecr_refresher.standins.ecr import EcrStandIn
from tests.integration.settings import story
from tests.testbed.airflow import Airflow
from tests.testbed.daemon import clean_environment
from tests.testbed.engine import Engine
from tests.testbed.registry import Registry

pytestmark = pytest.mark.real("airflow, engine, registry")


@pytest.fixture
def world(airflow: Airflow, engine: Engine, registry: Registry, ecr: EcrStandIn, tmp_path: Path) -> Iterator[World]:
    """What the benchmarks measure against, of the tests' own parts."""
    registry.book.life_s = 12 * 3600
    environment = clean_environment(tmp_path, ecr_url=ecr.url, measured=False, env=registry.environment())
    with contextlib.closing(World(tmp_path, ecr, airflow, story(airflow, tmp_path, engine), environment)) as world:
        yield world


def test_the_idle_daemon_fits_its_budget_after_three_passes(world: World) -> None:
    resting = idle.idle(world, for_s=1)
    print(f"idle: {resting}")
    assert resting.resident_mb <= 30
    assert resting.dirty_mb <= 18
    assert resting.threads <= 3


def test_a_pass_fits_its_budget_and_costs_an_eighth_of_the_scripts_and_a_day_a_fifteenth(world: World) -> None:
    measured = renewal.renewals(world, runs=1, floor=False)
    verification_s = idle.verification_cpu_s(world, passes=1)
    daemon = world.daemon()
    daemon.wait_for("pass_finished", 1)
    daemon.calm()
    scrapes = idle.scrapes(daemon, 200)
    daemon.end()
    day = renewal.day(measured, verification_s, scrapes.cpu_ms / 1000, idle_per_minute_s=0.01)
    print(f"{measured}\n{day}")
    assert measured.daemon.peak_mb <= 120
    assert measured.script.wall_s >= 8 * measured.start_s
    assert measured.script.cpu_s >= 8 * measured.daemon.cpu_s
    assert day.script_s >= 15 * day.ours_s
