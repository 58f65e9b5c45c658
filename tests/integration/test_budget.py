"""What the idle daemon may cost: memory and threads. No times: those are for the benchmark."""

from __future__ import annotations

from pathlib import Path
from signal import SIGUSR1

import pytest

from tests.integration.settings import story
from tests.testbed.airflow import Airflow
from tests.testbed.daemon import Product
from tests.testbed.engine import Engine
from tests.testbed.processes import wait_until
from tests.testbed.registry import Registry

pytestmark = pytest.mark.real("airflow, engine, registry")
RESIDENT_MB = 30.0


def test_the_idle_daemon_fits_its_budget_after_three_passes(
    airflow: Airflow, engine: Engine, registry: Registry, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    registry.book.life_s = 12 * 3600
    settings = story(airflow, tmp_path, engine)
    daemon = product.start_daemon(settings, ecr_url=ecr_url, env=registry.environment(), measured=False)
    daemon.wait_for(lambda status: status["ready"])
    for passes in (1, 2, 3):
        wait_until(lambda passes=passes: len(daemon.logs("pass_finished")) == passes, 20, "the end of a pass")  # type: ignore[misc]
        if passes < 3:
            daemon.signal(SIGUSR1)
    daemon.metrics()
    assert daemon.get("/").status == 200  # the page for people
    children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children")
    wait_until(lambda: not children.read_text().split(), 10, "the worker's end")
    status = dict(line.split(":", 1) for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines())
    resident = int(status["VmRSS"].split()[0]) / 1024
    print(f"idle: {resident:.1f} MB resident, {status['Threads'].strip()} threads")
    assert resident <= RESIDENT_MB
    assert int(status["Threads"]) <= 3
