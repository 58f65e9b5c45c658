"""The real parts, each started once, when the first test wants it; missing ones by the rule of testbed/parts.py."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from ecr_refresher.standins.ecr import EcrStandIn
from ecr_refresher.standins.tokens import TokenBook
from tests.testbed import parts
from tests.testbed.airflow import Airflow
from tests.testbed.engine import Engine
from tests.testbed.machine import Machine
from tests.testbed.processes import Record
from tests.testbed.registry import HOST, Registry
from tests.testbed.secret_hunt import Secrets

T = TypeVar("T")


def available(reason: str | None, make: Callable[[], T]) -> T:
    """Make a part, or skip (or fail) with the reason why it can't be had."""
    if reason is not None:
        parts.give_up(reason)
    try:
        return make()
    except parts.Missing as missing:
        parts.give_up(str(missing))


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs of the real parts; not the product's, so not hunted in."""
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="session")
def machine(record: Record) -> Iterator[Machine]:
    """The right to change this machine, and the duty to put it back."""

    def make() -> Machine:
        machine = Machine()
        try:
            machine.name_host(HOST)
        except BaseException:
            machine.close()
            raise
        return machine

    machine = available(parts.missing_engine(), make)
    with contextlib.closing(machine):
        yield machine


@pytest.fixture(scope="session")
def airflow_server(record: Record, secrets_seen: Secrets, logs: Path) -> Iterator[Airflow]:
    airflow = available(parts.missing_airflow(), lambda: Airflow(record, secrets_seen, logs / "airflow.log"))
    with contextlib.closing(airflow):
        yield airflow


@pytest.fixture
def airflow(airflow_server: Airflow) -> Airflow:
    """A real Airflow 3, running; connections of earlier tests are gone."""
    if not airflow_server.running:
        airflow_server.start()
    _, listed = airflow_server.admin("GET", "/api/v2/connections?limit=100")
    for connection in listed["connections"]:
        airflow_server.delete_connection(connection["connection_id"])
    return airflow_server


@pytest.fixture(scope="session")
def engine_server(machine: Machine, record: Record, logs: Path) -> Iterator[Engine]:
    def make() -> Engine:
        engine = Engine(machine, record, logs / "dockerd.log")
        try:
            engine.start()
            engine.prepare_image()
        except BaseException:
            engine.close()
            raise
        return engine

    engine = available(parts.missing_engine(), make)
    with contextlib.closing(engine):
        yield engine


@pytest.fixture
def engine(engine_server: Engine) -> Engine:
    """A real Docker engine of the tests' own, running, with the image `engine.image`."""
    if not engine_server.running:
        engine_server.start()
    return engine_server


@pytest.fixture(scope="session")
def book(secrets_seen: Secrets) -> TokenBook:
    """The tokens of the real registry; they live 20 s. All of them are hunted for."""
    book = TokenBook(life_s=20)
    secrets_seen.follow(
        lambda: [form for token in book.all_issued() for form in (token.password, token.authorization_token)]
    )
    return book


@pytest.fixture(scope="session")
def registry_server(
    machine: Machine, engine_server: Engine, book: TokenBook, record: Record, logs: Path
) -> Iterator[Registry]:
    registry = available(
        parts.missing_registry(), lambda: Registry(machine, book, record, logs / "docker-registry.log")
    )
    with contextlib.closing(registry):
        registry.push(engine_server, engine_server.image)
        yield registry


@pytest.fixture
def registry(registry_server: Registry) -> Registry:
    """A real registry under the name of an ECR host, with `registry.image` in it and no faults."""
    registry_server.front.heal()
    registry_server.book.life_s = 20
    return registry_server


@pytest.fixture
def ecr(book: TokenBook) -> Iterator[EcrStandIn]:
    """The ECR stand-in, whose tokens the real registry takes."""
    with EcrStandIn(book) as ecr:
        yield ecr
    assert ecr.crashes == []


@pytest.fixture
def ecr_url(ecr: EcrStandIn) -> str:
    return ecr.url
