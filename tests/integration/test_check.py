"""`check` on real parts: all is well, and nothing is changed by looking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.settings import CONNECTION, config_file, story
from tests.testbed.airflow import Airflow
from tests.testbed.aws_services import MwaaStandIn, SecretsManagerStandIn
from tests.testbed.daemon import Finished, Product
from tests.testbed.engine import Engine
from tests.testbed.registry import HOST, Registry
from tests.testbed.standins.ecr import EcrStandIn

pytestmark = [pytest.mark.real("airflow, engine, registry"), pytest.mark.xdist_group("beside")]


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


def findings(done: Finished, *legs: str) -> dict[str, tuple[str, str]]:
    """Leg -> its verdict and first finding."""
    every = {leg["leg"]: (leg["verdict"], leg["findings"][0]["text"]) for leg in done.json()["legs"]}
    return {leg: every[leg] for leg in legs}


def test_the_other_ways_into_airflow_are_tried_as_well(
    airflow: Airflow, ecr: EcrStandIn, product: Product, tmp_path: Path
) -> None:
    ecr.book.life_s = 3600
    file = tmp_path / "secrets" / "connections.yaml"
    entries = [
        {"name": "managed", "mwaa_environment": "prod-airflow", "region": "us-east-1"},
        {"name": "file", "kind": "secrets_file", "file": str(file)},
        {"name": "manager", "kind": "secrets_manager", "region": "us-east-1"},
    ]

    def check(entry: dict[str, Any]) -> Finished:
        settings = {"registries": [HOST], "airflow": [entry], "refresh": {"prove": False}}
        return product.run_cli("check", "--json", settings=settings, ecr_url=ecr.url, env=env)

    with MwaaStandIn(airflow) as mwaa, SecretsManagerStandIn() as manager:
        env = {
            "AWS_ENDPOINT_URL_STS": ecr.url,
            "AWS_ENDPOINT_URL_MWAA": mwaa.url,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": manager.url,
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        }
        settings = {"registries": [HOST], "airflow": entries, "refresh": {"prove": False}}
        assert product.run_cli("once", settings=settings, ecr_url=ecr.url, env=env).exit_code == 0
        kept = (airflow.db_connection(CONNECTION), file.read_bytes(), dict(manager.secrets))

        managed = findings(check(entries[0]), "airflow", "login", "connection", "permissions")
        assert {verdict for verdict, _ in managed.values()} == {"ok"}, managed
        assert managed["airflow"][1] == "Airflow 3.3"
        mwaa.user = "viewer"
        refused = findings(check(entries[0]), "connection", "permissions")
        assert {verdict for verdict, _ in refused.values()} == {"failed"}, refused

        assert {v for v, _ in findings(check(entries[1]), "file", "connection").values()} == {"ok"}
        assert {v for v, _ in findings(check(entries[2]), "connection", "permissions").values()} == {"ok"}
        manager.refuses = "AccessDeniedException"
        found = findings(check(entries[2]), "connection", "permissions")
        assert found["connection"][0] == "failed"
        assert found["permissions"][0] == "not_tried"
        assert (airflow.db_connection(CONNECTION), file.read_bytes(), manager.secrets) == kept
    assert (mwaa.crashes, manager.crashes) == ([], [])
