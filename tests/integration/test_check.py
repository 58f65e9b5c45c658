"""`check` on real parts: all is well, and nothing is changed by looking."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecr_refresher.standins.ecr import EcrStandIn
from tests.integration.settings import CONNECTION, config_file, story
from tests.testbed.airflow import Airflow
from tests.testbed.daemon import Product
from tests.testbed.engine import Engine
from tests.testbed.registry import Registry

pytestmark = [pytest.mark.real("airflow"), pytest.mark.real("registry"), pytest.mark.real("engine")]


def test_all_is_well_after_a_delivery_and_check_changes_nothing(
    airflow: Airflow, engine: Engine, registry: Registry, ecr: EcrStandIn, product: Product, tmp_path: Path
) -> None:
    settings = story(airflow, tmp_path, engine)
    env = {
        **registry.environment(),
        "AWS_ENDPOINT_URL_STS": ecr.url,
        "DOCKER_CONFIG": str(config_file(tmp_path).parent),
    }
    ecr.book.life_s = 3600
    assert product.run_cli("once", settings=settings, ecr_url=ecr.url, env=env).exit_code == 0
    stored, file = airflow.db_connection(CONNECTION), config_file(tmp_path).read_bytes()
    listing = sorted(path.name for path in config_file(tmp_path).parent.iterdir())
    done = product.run_cli("check", settings=settings, ecr_url=ecr.url, env=env)
    done = product.run_cli("check", "--json", settings=settings, ecr_url=ecr.url, env=env)
    assert done.exit_code == 0, done.stdout
    assert {leg["verdict"] for leg in done.json()["legs"]} == {"ok"}
    assert airflow.db_connection(CONNECTION) == stored
    assert config_file(tmp_path).read_bytes() == file
    assert sorted(path.name for path in config_file(tmp_path).parent.iterdir()) == listing
