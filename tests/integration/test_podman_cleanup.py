"""The cleanup on real Podman, by its API: no events of the past, pulls without an id, another id at each question."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.integration.docker_host import children_of, login_in
from tests.testbed.daemon import Daemon, Product
from tests.testbed.podman import podman_service
from tests.testbed.published import publish
from tests.testbed.registry import HOST, Registry

pytestmark = pytest.mark.real("engine, registry")
BUSY, IDLE, LATER, HOT = images = tuple(f"{HOST}/pods:{name}" for name in ("busy", "idle", "later", "hot"))
UNUSED_FOR_S = 8
PULLS = 50


class Podman:
    """What tasks do by its API."""

    def __init__(self, url: str, file: Path) -> None:
        self.api = docker.APIClient(base_url=url, version="auto", timeout=60)
        self._file = file

    def pull(self, image: str) -> None:
        repository, _, tag = image.rpartition(":")
        for line in self.api.pull(repository, tag=tag, auth_config=login_in(self._file), stream=True, decode=True):
            assert "error" not in line, line

    def run(self, image: str, *command: str) -> str:
        config = self.api.create_host_config(network_mode="none")
        container = str(self.api.create_container(image, list(command), host_config=config)["Id"])
        self.api.start(container)
        return container

    def images(self) -> set[str]:
        return {tag for image in self.api.images() for tag in image["RepoTags"] or ()}

    def containers(self) -> set[str]:
        return {container["Id"] for container in self.api.containers(all=True)}


@pytest.fixture
def url(registry: Registry, open_path: Path) -> Iterator[str]:
    registry.book.life_s = 3600
    for image in images:
        publish(registry.upstream, "pods", image.rpartition(":")[2], 1000)
    with podman_service(open_path, registry.environment()) as (url, _, _):
        yield url


def hears(daemon: Daemon) -> None:
    daemon.wait_for(lambda status: status["ready"] and status["cleanup"]["listening"], within=60)


@pytest.mark.timeout(400)
def test_unused_images_and_ended_containers_go_and_used_ones_stay_over_a_restart_of_the_daemon(
    url: str, registry: Registry, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    file = tmp_path / "docker" / "config.json"
    settings = {
        "registries": [HOST],
        "docker": {"config_file": str(file)},
        "cleanup": {
            "enabled": True,
            "engine": url,
            "every": "1s",
            "state_file": str(tmp_path / "state" / "cleanup.json"),
            "containers": {"exited_for": "1s"},
            "images": {"max_size": "1kB", "unused_for": f"{UNUSED_FOR_S}s"},
        },
    }
    daemon = product.start_daemon(settings, ecr_url=ecr_url, env=registry.environment(), measured=False)
    hears(daemon)
    podman = Podman(url, file)
    with contextlib.closing(podman.api):
        for image in (BUSY, IDLE):
            podman.pull(image)
        busy, ended = podman.run(BUSY, "sleep", "600"), podman.run(IDLE, "true")
        daemon.wait_for(lambda _: ended not in podman.containers(), within=60)
        daemon.wait_for(lambda _: IDLE not in podman.images(), within=90)
        assert BUSY in podman.images()
        assert daemon.status()["cleanup"]["disk_used_ratio"] > 0

        listener = set(children_of(daemon.pid))
        for _ in range(PULLS):
            podman.pull(HOT)
        status = daemon.status()["cleanup"]
        assert status["listening"]
        assert listener & set(children_of(daemon.pid)), "the same process"
        assert daemon.metrics().value("ecr_refresher_cleanup_failures_total", what="events", reason="transient") == 0
        assert {BUSY, HOT} <= podman.images()

        podman.pull(LATER)
        daemon.restart()
        hears(daemon)

        def later_went(_: object) -> bool:
            podman.pull(HOT)
            return LATER not in podman.images()

        daemon.wait_for(later_went, within=90)
        assert {BUSY, HOT} <= podman.images(), "one in a container, the other pulled again and again"
        assert podman.containers() == {busy}
    removed = {line["name"] for line in daemon.logs("image_removed")}
    assert removed == {IDLE, LATER}, [line for line in daemon.logs() if line["level"] != "info"]
