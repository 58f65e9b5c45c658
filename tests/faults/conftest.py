"""A world of stand-ins for the real daemon: every fault of theirs can be had at will, and no root is needed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.daemon import Daemon, Product
from tests.testbed.secret_hunt import Secrets
from tests.testbed.standins.airflow import AirflowStandIn
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.registry_front import RegistryFront
from tests.testbed.standins.tokens import TokenBook

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
CONNECTION = "docker_default"
PASSWORD = "the-password-of-the-stand-in"


class World:
    """ECR, a registry front and Airflow, and the settings of a daemon that serves one slot of each kind."""

    def __init__(
        self,
        directory: Path,
        product: Product,
        book: TokenBook,
        ecr: EcrStandIn,
        front: RegistryFront,
        air: AirflowStandIn,
    ) -> None:
        self.directory, self.product, self.book = directory, product, book
        self.ecr, self.front, self.airflow = ecr, front, air
        self.config_file = directory / "docker" / "config.json"
        password_file = directory / "password"
        password_file.write_text(PASSWORD)
        password_file.chmod(0o600)
        self.settings: dict[str, Any] = {
            "registries": [{"host": HOST, "registry_url": front.url}],
            "airflow": {"url": air.url, "username": "ecr-refresher", "password_file": str(password_file)},
            "docker": {"config_file": str(self.config_file)},
            "refresh": {"retry_first": "500ms", "retry_max": "2s"},
        }

    def start(self, **more: Any) -> Daemon:
        return self.product.start_daemon(self.settings, ecr_url=self.ecr.url, measured=False, **more)

    def heal(self) -> None:
        for part in (self.ecr, self.front, self.airflow):
            part.heal()

    def docker_password(self) -> str:
        """What docker-py finds in the file."""
        import docker.auth

        found = docker.auth.load_config(str(self.config_file)).resolve_authconfig(HOST)
        return "" if found is None else str(found["password"])

    def airflow_password(self) -> str:
        connection = self.airflow.connections.get(CONNECTION)
        return "" if connection is None else connection.password or ""

    def all_is_well(self) -> bool:
        return all(self.book.check("AWS", held()) == "ok" for held in (self.docker_password, self.airflow_password))


@pytest.fixture
def world(tmp_path: Path, product: Product, secrets_seen: Secrets) -> Iterator[World]:
    book = TokenBook(life_s=3600)
    secrets_seen.add(PASSWORD)
    secrets_seen.follow(
        lambda: [form for token in book.all_issued() for form in (token.password, token.authorization_token)]
    )
    with EcrStandIn(book) as ecr, RegistryFront(book) as front, AirflowStandIn(password=PASSWORD) as air:
        secrets_seen.follow(lambda: air.jwt.issued)
        yield World(tmp_path, product, book, ecr, front, air)


def children(pid: int) -> list[int]:
    """The ids of a process's children."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / 100


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


SOAK = int(os.environ.get("ECR_REFRESHER_SOAK") or 0)


def rounds(full: int, seconds: float) -> Iterator[int]:
    """Numbers from 1 to `full`; in the suite, unlike in `make soak`, for about so many seconds only."""
    until = time.monotonic() + seconds
    for number in range(1, full + 1):
        if not SOAK and time.monotonic() > until:
            return
        yield number
