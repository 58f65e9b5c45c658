"""The environment in which every Airflow process of the tests runs. Standard library only."""

from __future__ import annotations

from pathlib import Path

from tests.testbed.airflow_flavours import SIMPLE, Flavour, search_path

USERS = {"admin": "admin", "oper": "op", "viewer": "viewer"}  # with the SimpleAuthManager's roles


def airflow_environment(home: Path, flavour: Flavour = SIMPLE, **more: str) -> dict[str, str]:
    """Nothing of the caller's but PATH: no proxy, no foreign AIRFLOW__ setting, no PYTHONDONTWRITEBYTECODE (slow)."""
    return {
        "PATH": search_path(flavour),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        **flavour.environment(),
        **more,
    }
