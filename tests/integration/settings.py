"""Settings for the real parts, as a user would write them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tests.testbed.airflow import Airflow
from tests.testbed.engine import Engine
from tests.testbed.registry import HOST

CONNECTION = "docker_default"
AIRFLOW_SINK = f"airflow/default/{CONNECTION}"


def to_airflow(airflow: Airflow, directory: Path, *, user: str = "oper", **more: Any) -> dict[str, Any]:
    """The `airflow` section: the connection of the story, the password in a file."""
    password_file = directory / f"password-of-{user}"
    password_file.write_text(airflow.passwords[user])
    password_file.chmod(0o600)
    return {"url": airflow.url, "username": user, "password_file": str(password_file), **more}


def to_docker(directory: Path, engine: Engine | None = None) -> dict[str, Any]:
    """The `docker` section: a config.json in `directory`, proved by the engine where one is given."""
    section = {"config_file": str(directory / "docker" / "config.json")}
    return section | ({"engine": engine.url} if engine else {})


def story(airflow: Airflow | None, directory: Path, engine: Engine | None = None, **more: Any) -> dict[str, Any]:
    """One registry, brought to one Airflow and one config.json."""
    settings: dict[str, Any] = {"registries": [HOST], "docker": to_docker(directory, engine)}
    if airflow is not None:
        settings["airflow"] = to_airflow(airflow, directory)
    return settings | more


def config_file(directory: Path) -> Path:
    return directory / "docker" / "config.json"


def password_in(file: Path) -> str:
    """The password of the registry's entry in a config.json."""
    auth = json.loads(file.read_text())["auths"][HOST]["auth"]
    return base64.b64decode(auth).decode().partition(":")[2]
