"""Which Airflows the tests run against: versions, and how each lets users in. Standard library only."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.testbed import parts

if TYPE_CHECKING:
    import pytest

LEAST_RIGHTS = ("can_read", "can_create", "can_edit")  # on Connections: what our documentation asks for


@dataclasses.dataclass(frozen=True)
class Flavour:
    """One version of Airflow with one way of logging in."""

    version: str
    auth: Literal["simple", "fab", "basic"]  # SimpleAuthManager and FAB on Airflow 3, Basic (FAB) on 2

    @property
    def name(self) -> str:
        return f"{self.version}-{self.auth}"

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    @property
    def api(self) -> str:
        """The path of its REST API."""
        return "/api/v2" if self.major >= 3 else "/api/v1"

    @property
    def lock(self) -> Path:
        return parts.LOCKS / f"airflow-{self.version}.lock"

    @property
    def venv(self) -> Path:
        return parts.TESTBED / f"airflow-{self.version}"

    @property
    def ready(self) -> Path:
        return self.venv / ".ready"

    @property
    def database(self) -> Path:
        """A migrated database for tests to copy; with FAB there is a user `admin` in it."""
        return parts.TESTBED / f"airflow-{self.name}.db"

    @property
    def roles_path(self) -> str:
        """Where FAB's roles are made; users beside it."""
        return "/auth/fab/v1" if self.major >= 3 else "/api/v1"

    def missing(self) -> str | None:
        """Why it can't be used, or None."""
        if not self.ready.exists() or not self.database.exists():
            return f"airflow: {self.venv.name} is not prepared; run `make prepare`"
        return None

    def environment(self) -> dict[str, str]:
        """The settings that make it let users in its way."""
        if self.auth == "basic":
            module = "airflow" if self.version < "2.9" else "airflow.providers.fab.auth_manager"
            backends = ("basic_auth", "session") if self.version >= "2.9" else ("basic_auth",)
            named = ",".join(f"{module}.api.auth.backend.{backend}" for backend in backends)
            return {"AIRFLOW__API__AUTH_BACKENDS": named}
        manager = {
            "simple": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
            "fab": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        }[self.auth]
        return {"AIRFLOW__CORE__AUTH_MANAGER": manager}


SIMPLE = Flavour("3.3.2", "simple")
FAB = Flavour("3.3.2", "fab")
AIRFLOW_2 = Flavour("2.11.2", "basic")
MAIN = (SIMPLE, FAB, AIRFLOW_2)
OLDER = (Flavour("3.2.2", "simple"), Flavour("3.0.6", "simple"), Flavour("2.8.4", "basic"))
EVERY = MAIN + OLDER


def on(*flavours: Flavour) -> pytest.MarkDecorator:
    """Run a test against each of these Airflows, as its fixture `airflow`; tests of one are run one after another."""
    import pytest

    return pytest.mark.parametrize("flavour", flavours, indirect=True, ids=lambda each: each.name, scope="session")


def password_hash(password: str) -> str:
    """A hash as FAB keeps it (werkzeug's form), of few rounds: the tests log in all the time."""
    salt = secrets.token_hex(8)
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), 1000).hex()
    return f"pbkdf2:sha256:1000${salt}${digest}"


def search_path(flavour: Flavour) -> str:
    return f"{flavour.venv / 'bin'}:{os.environ.get('PATH', os.defpath)}"
