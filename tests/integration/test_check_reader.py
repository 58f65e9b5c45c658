"""`check --reader` beside a real Airflow: what its tasks get, as far as that can be seen from a worker."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.airflow import Airflow
from tests.testbed.daemon import Product
from tests.testbed.registry import HOST

pytestmark = [pytest.mark.real("airflow"), pytest.mark.xdist_group("beside")]


def reader(airflow: Airflow, product: Product, env: dict[str, str], **connection: Any) -> dict[str, Any]:
    """The row of the one connection."""
    settings = {
        "registries": [HOST],
        "airflow": {
            "url": airflow.url,
            "token_env": "NOT_ASKED_FOR",
            "connections": {"docker_default": {"registry": HOST, **connection}},
        },
    }
    done = product.run_cli(
        "check", "--reader", "--json", settings=settings, env={**airflow.env, **env}, within=120, measured=False
    )
    (row,) = [leg for leg in done.json()["legs"] if leg["leg"] == "reader"]
    return dict(row)


@pytest.mark.timeout(200)
def test_a_worker_without_a_database_is_told_what_can_t_be_seen_from_it(
    airflow: Airflow, product: Product, tmp_path: Path
) -> None:
    """As on a worker of Airflow 3, which speaks to the API server only."""
    home = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/none.db"}
    row = reader(airflow, product, home)
    assert row["verdict"] == "not_tried"
    (finding,) = row["findings"]
    assert "has no database of Airflow's" in finding["text"]
    assert "no secrets backend and no variable of this worker shadows it" in finding["text"]
    assert "where the login is delivered" in finding["fix"]


@pytest.mark.timeout(200)
def test_a_worker_without_a_database_is_warned_of_its_own_secrets_backend(
    airflow: Airflow, product: Product, tmp_path: Path
) -> None:
    """A task asks this backend first, whatever the API server has."""
    backend = tmp_path / "connections.json"
    stale = {"conn_type": "docker", "host": HOST, "login": "AWS", "password": "an-old-one"}
    backend.write_text(json.dumps({"docker_default": stale}))
    row = reader(
        airflow,
        product,
        {
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/none.db",
            "AIRFLOW__WORKERS__SECRETS_BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
            "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS": json.dumps({"connections_file_path": str(backend)}),
        },
    )
    assert row["verdict"] == "failed"
    (finding,) = row["findings"]
    assert finding["text"].startswith("the connection comes from the workers' secrets backend airflow.secrets.local")
    assert "an-old-one" not in json.dumps(row)


def test_a_team_s_connection_is_judged_by_its_variable_and_else_said_to_be_out_of_sight(
    airflow: Airflow, product: Product
) -> None:
    row = reader(airflow, product, {}, team_name="data")
    assert row["verdict"] == "not_tried"
    assert "can't be seen from here" in row["findings"][0]["text"]
    for variable in ("AIRFLOW_CONN__DATA___DOCKER_DEFAULT", "AIRFLOW_CONN_DOCKER_DEFAULT"):
        row = reader(airflow, product, {variable: "docker://AWS:old@elsewhere"}, team_name="data")
        assert row["verdict"] == "failed"
        assert f"the environment variable {variable} is set" in row["findings"][0]["text"]


def test_where_airflow_is_not_installed_that_is_said(airflow: Airflow, product: Product, tmp_path: Path) -> None:
    row = reader(airflow, product, {"PATH": f"{tmp_path}:{os.defpath}"})
    assert (row["verdict"], row["findings"][0]["text"]) == ("failed", "there is no `airflow` on PATH")
