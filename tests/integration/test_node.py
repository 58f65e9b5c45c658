"""The chart's node daemon, by the settings that it renders: on a node without Docker, and once Docker is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.chart import only, render
from tests.integration.settings import password_in
from tests.testbed.daemon import Product
from tests.testbed.engine import Engine
from tests.testbed.processes import wait_until
from tests.testbed.registry import HOST, Registry
from tests.testbed.standins.ecr import EcrStandIn

pytestmark = pytest.mark.real("helm, engine, registry")


def test_a_node_s_daemon_says_that_docker_is_not_there_and_serves_it_once_it_is(
    engine: Engine, registry: Registry, ecr: EcrStandIn, product: Product, tmp_path: Path
) -> None:
    objects = render("node", config={"registries": [HOST], "refresh": {"retry_first": "1s", "retry_max": "1s"}})
    settings = only("ConfigMap", objects)["data"]["settings.yaml"].replace("/host/", f"{tmp_path}/")
    daemon = product.start_daemon(settings, ecr_url=ecr.url, env=registry.environment(), measured=False)
    config_file = tmp_path / "docker-config" / "config.json"

    wait_until(lambda: len(daemon.logs("delivery_failed")) >= 2, 30, "a second try")
    last_error = daemon.slot("docker")["last_error"]
    assert last_error["reason"] == "missing"
    assert f"there is no Docker engine at unix://{tmp_path}/run/docker.sock" in last_error["message"]
    assert daemon.get("/readyz").status == 503
    assert daemon.get("/livez").status == 200
    assert daemon.metrics().value("ecr_refresher_sink_ready") == 0
    assert ecr.calls == [], "no token for nobody"
    assert not config_file.parent.exists()

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "docker.sock").symlink_to(engine.url.removeprefix("unix://"))
    daemon.wait_for(lambda status: status["ready"])
    assert registry.book.check("AWS", password_in(config_file)) == "ok"
    assert not daemon.logs("proof_failed"), "the engine has proved it"
    pulled = engine.docker("pull", registry.image, config=config_file.parent)
    assert pulled.returncode == 0, pulled.stderr
