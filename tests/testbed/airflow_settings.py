"""The environment in which every Airflow process of the tests runs. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path

from tests.testbed import parts

USERS = {"admin": "admin", "oper": "op", "viewer": "viewer"}


def airflow_environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing of the caller's but PATH: no proxy, no foreign AIRFLOW__ setting, no PYTHONDONTWRITEBYTECODE (slow)."""
    return {
        "PATH": f"{parts.AIRFLOW_VENV / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        **more,
    }
