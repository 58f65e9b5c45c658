"""How much of the official client is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LOAD = """
from ecr_refresher.job.sinks.airflow import client_parts as parts
assert parts.RESTClientObject(parts.Configuration(host="http://127.0.0.1:9"))
"""
COUNT = 'import sys; print(sum(name.startswith(("airflow_client.client.", "pydantic.")) for name in sys.modules))\n'


def printed(script: str, path: Path | None = None) -> str:
    """What a new interpreter prints, with a directory in front of its path."""
    search = os.pathsep.join([*([str(path)] if path else []), os.environ.get("PYTHONPATH", os.getcwd())])
    command = [sys.executable, "-c", script]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": search}
    ).stdout.strip()


def test_no_model_no_api_and_no_pydantic_is_imported_with_this_version_of_the_client() -> None:
    assert int(printed(LOAD + COUNT)) < 5


def test_whoever_imports_the_client_afterwards_gets_the_whole_of_it() -> None:
    assert printed(LOAD + "from airflow_client.client import ConnectionApi; print(ConnectionApi.__name__)") == (
        "ConnectionApi"
    )


def test_a_client_that_is_imported_already_is_taken_as_it_is() -> None:
    script = f"import airflow_client.client.rest as rest\n{LOAD}print(parts.RESTClientObject is rest.RESTClientObject)"
    assert printed(script) == "True"


def test_a_version_whose_parts_need_the_package_is_imported_whole(tmp_path: Path) -> None:
    package = tmp_path / "airflow_client" / "client"
    package.mkdir(parents=True)
    (tmp_path / "airflow_client" / "__init__.py").touch()
    (package / "__init__.py").write_text("needed = object\n")
    (package / "rest.py").write_text(
        "from airflow_client.client import needed\n\nclass RESTClientObject(needed):\n"
        "    def __init__(self, configuration):\n        pass\n"
    )
    (package / "configuration.py").write_text("class Configuration:\n    def __init__(self, host):\n        pass\n")
    (package / "exceptions.py").write_text("class ApiException(Exception):\n    pass\n")
    assert printed(LOAD + "print(parts.RESTClientObject.__module__)", tmp_path) == "airflow_client.client.rest"
