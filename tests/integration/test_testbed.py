"""The real parts are real, and do what the other tests rely on."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.error
from pathlib import Path

import pytest

from tests.testbed.airflow import Airflow
from tests.testbed.engine import Engine
from tests.testbed.registry import Registry
from tests.testbed.secret_hunt import Secrets

pytestmark = pytest.mark.real("airflow, engine, registry")


def test_airflow_is_the_real_one_and_keeps_connections(airflow: Airflow, secrets_seen: Secrets) -> None:
    assert airflow.request("GET", "/api/v2/version")[1]["version"] == airflow.flavour.version
    password = secrets_seen.add("a token of some length" * 100)
    airflow.create_connection("docker_default", host="example.com", login="AWS", password=password, port=5000)
    shown = airflow.get_connection("docker_default")
    assert shown is not None
    assert (shown["login"], shown["password"]) == ("AWS", "***")
    stored = airflow.db_connection("docker_default")
    assert stored is not None
    assert (stored.password, stored.port) == (password, 5000)
    # What we read from the database is what Airflow itself reads there.
    got = airflow.cli("connections", "get", "docker_default", "--output", "json")
    assert json.loads(got.stdout)[0]["password"] == password
    assert airflow.delete_connection("docker_default")
    assert not airflow.delete_connection("docker_default")
    assert airflow.get_connection("docker_default") is None
    assert airflow.db_connection("docker_default") is None


def test_airflows_users_have_the_rights_of_their_roles(airflow: Airflow) -> None:
    body = {"connection_id": "by_role", "conn_type": "docker"}
    assert airflow.request("POST", "/api/v2/connections", body, airflow.login("viewer"))[0] == 403
    assert airflow.request("POST", "/api/v2/connections", body, airflow.login("oper"))[0] == 201


def test_airflow_freezes_stops_and_comes_back(airflow: Airflow) -> None:
    airflow.create_connection("docker_default", host="example.com")
    with airflow.frozen(), pytest.raises(OSError, match="timed out"):
        airflow.request("GET", "/api/v2/version", timeout=0.5)
    assert airflow.request("GET", "/api/v2/version")[0] == 200
    airflow.stop()
    with pytest.raises(urllib.error.URLError, match="refused"):
        airflow.request("GET", "/api/v2/version")
    airflow.start()
    assert airflow.get_connection("docker_default") is not None


def test_the_engine_runs_containers_freezes_and_comes_back(engine: Engine) -> None:
    assert engine.docker("run", "--rm", engine.image, "echo", "hello").stdout == "hello\n"
    with engine.frozen(), pytest.raises(subprocess.TimeoutExpired):
        engine.docker("version", within=1)
    assert engine.docker("version").returncode == 0
    engine.stop()
    assert engine.docker("version").returncode != 0
    engine.start()
    assert engine.docker("run", "--rm", engine.image, "false").returncode == 1
    engine.kill()
    engine.start()
    assert engine.docker("run", "--rm", engine.image).returncode == 0


def test_the_registry_under_ecrs_name_wants_a_token_of_the_book(
    registry: Registry, engine: Engine, tmp_path: Path
) -> None:
    assert socket.gethostbyname(registry.host) == "10.99.0.1"
    good, expired = registry.book.issue(life_s=60), registry.book.issue(life_s=0)
    assert registry.login(engine, good, tmp_path / "good").returncode == 0
    assert engine.docker("pull", registry.image, config=tmp_path / "good").returncode == 0
    refused = registry.login(engine, expired, tmp_path / "expired")
    assert refused.returncode != 0
    assert "403 Forbidden" in refused.stderr
    assert engine.docker("pull", registry.image, config=tmp_path / "none").returncode != 0
    registry.book.revoke_all()
    assert engine.docker("pull", registry.image, config=tmp_path / "good").returncode != 0


def test_a_dag_pulls_with_the_login_of_its_connection(airflow: Airflow, engine: Engine, registry: Registry) -> None:
    good, expired = registry.book.issue(life_s=120), registry.book.issue(life_s=0)
    airflow.create_connection("docker_default", host=registry.host, login="AWS", password=good.password)
    run = airflow.dags_test(docker_url=engine.url)
    assert run.succeeded, run.output
    assert "scraped the web" in run.output

    airflow.delete_connection("docker_default")
    airflow.create_connection("docker_default", host=registry.host, login="AWS", password=expired.password)
    run = airflow.dags_test(docker_url=engine.url)
    assert not run.succeeded
    assert "403 Forbidden" in run.output
