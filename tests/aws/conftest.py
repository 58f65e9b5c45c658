"""AWS for the tests: the project's own stand-ins, and moto where another opinion is wanted. No root, no network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.aws.world import Metadata, World, secrets_of
from tests.testbed.daemon import Finished
from tests.testbed.moto import Moto
from tests.testbed.processes import Record
from tests.testbed.secret_hunt import Secrets
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.registry_front import RegistryFront
from tests.testbed.standins.tokens import TokenBook


@pytest.fixture
def world(run_cli: Callable[..., Finished], tmp_path: Path, secrets_seen: Secrets) -> Iterator[World]:
    book = TokenBook()
    with EcrStandIn(book) as ecr, RegistryFront(book) as front:
        secrets_seen.follow(lambda: secrets_of(book, ecr))
        yield World(tmp_path, book, ecr, front, run_cli)
    assert (ecr.crashes, front.crashes) == ([], [])


@pytest.fixture(scope="session")
def moto(record: Record, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    with contextlib.closing(Moto(record, tmp_path_factory.mktemp("moto") / "log")) as moto:
        yield moto


@pytest.fixture
def metadata(secrets_seen: Secrets) -> Iterator[Metadata]:
    with Metadata(secrets_seen) as metadata:
        yield metadata
    assert metadata.crashes == []
