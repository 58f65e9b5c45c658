"""The story's end: the disk stays free, and what is in use is never pulled again. A real engine on a small disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import available
from tests.integration.docker_host import Tasks, children_of, cleanup_settings, empty, login_in, resident_mb, sequence
from tests.testbed import parts
from tests.testbed.daemon import Product
from tests.testbed.engine import Engine
from tests.testbed.machine import Machine
from tests.testbed.processes import Record
from tests.testbed.published import publish
from tests.testbed.registry import HOST, Registry

pytestmark = [pytest.mark.real("engine, registry")]

DISK_MB = 90
IMAGE_BYTES = 4_000_000
HOT = tuple(f"{HOST}/dags:hot{n}" for n in range(4))
COLD = tuple(f"{HOST}/dags:cold{n}" for n in range(26))


@pytest.fixture(scope="module")
def small_server(machine: Machine, record: Record, logs: Path) -> Iterator[Engine]:
    def make() -> Engine:
        engine = Engine(machine, record, logs / "dockerd-small.log", disk_mb=DISK_MB)
        try:
            engine.start()
        except BaseException:
            engine.close()
            raise
        return engine

    engine = available(parts.missing_engine(), make)
    with contextlib.closing(engine):
        yield engine


@pytest.fixture
def small(small_server: Engine, registry: Registry) -> Engine:
    """An engine on a disk of 90 MB; empty."""
    registry.book.life_s = 3600
    if not small_server.running:
        small_server.start()
    empty(small_server)
    return small_server


@pytest.fixture(scope="module")
def published(registry_server: Registry) -> None:
    """Thirty images of 4 MB each, together more than the disk holds; they have been built long ago."""
    for image in (*HOT, *COLD):
        publish(registry_server.upstream, "dags", image.rpartition(":")[2], IMAGE_BYTES)


def token(registry: Registry) -> dict[str, str]:
    issued = registry.book.issue(life_s=3600)
    return {"username": issued.username, "password": issued.password}


@pytest.mark.usefixtures("published")
def test_the_disk_stays_free_and_what_is_in_use_is_never_pulled_again(
    small: Engine, registry: Registry, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    # Without anything: the disk fills, and tasks fail.
    nothing = Tasks(small, token(registry))
    nothing.run_all(sequence(HOT, COLD, 56))
    assert nothing.failures
    assert any("no space left" in failure for failure in nothing.failures), nothing.failures[:3]
    empty(small)

    # With a cron that prunes by age: all that runs at the moment stays, and the rest is pulled again and again.
    cron = Tasks(small, token(registry))

    def prune(number: int) -> None:
        if number % 10 == 9:
            small.docker("container", "prune", "--force")
            small.docker("image", "prune", "--all", "--force", "--filter", "until=24h")

    cron.run_all(sequence(HOT, COLD, 56), every=prune)
    empty(small)

    # With ecr-refresher.
    settings = cleanup_settings(small, tmp_path)
    daemon = product.start_daemon(settings, ecr_url=ecr_url, env=registry.environment(), measured=False)
    daemon.wait_for(lambda status: status["ready"] and status["cleanup"]["listening"])
    kept = Tasks(small, login_in(tmp_path / "docker" / "config.json"))
    kept.run_all(sequence(HOT, COLD, 200))
    shown = daemon.wait_for(lambda status: status["cleanup"]["disk_used_ratio"] <= 0.4, within=60)["cleanup"]

    again = [sum(count - 1 for image, count in tasks.pulls.items() if image in HOT) for tasks in (cron, kept)]
    print(
        f"runs that failed: {len(nothing.failures)} of {nothing.runs} without, {len(cron.failures)} of {cron.runs} "
        f"with the cron, {len(kept.failures)} of {kept.runs} with ecr-refresher; images in constant use pulled again: "
        f"{again[0]} times with the cron (of {cron.runs} runs), {again[1]} times with ecr-refresher (of {kept.runs})"
    )
    assert kept.failures == []
    assert again[1] == 0
    assert again[0] > 0

    assert shown["removed_total"]["image"] > 20
    assert shown["removed_total"]["container"] > 100
    metrics = daemon.metrics()
    assert metrics.value("ecr_refresher_cleanup_images_removed_total") >= shown["removed_total"]["image"]
    assert metrics.value("ecr_refresher_cleanup_freed_bytes_total") > 20 * IMAGE_BYTES
    assert 0.0 < metrics.value("ecr_refresher_cleanup_disk_used_ratio") <= 0.4
    failed = metrics.matching("ecr_refresher_cleanup_failures_total")
    assert {dict(labels)["what"] for labels, count in failed.items() if count} <= {"image"}  # came into use: left
    removed = daemon.logs("image_removed")
    assert all(line["name"].startswith(HOST) and "unused for" in line["why"] for line in removed)
    print(
        f"supervisor {resident_mb(daemon.pid):.1f} MB, children {[resident_mb(pid) for pid in children_of(daemon.pid)]}"
    )
