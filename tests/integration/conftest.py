"""The real parts, each started once, when the first test wants it; missing ones by the rule of testbed/parts.py."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.testbed import parts
from tests.testbed.airflow import Airflow
from tests.testbed.airflow_flavours import SIMPLE, Flavour
from tests.testbed.engine import Engine
from tests.testbed.machine import Machine
from tests.testbed.processes import Record
from tests.testbed.registry import HOST, Registry
from tests.testbed.secret_hunt import Secrets
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.tokens import TokenBook

T = TypeVar("T")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one Airflow go to one worker, others file by file: to start the same part twice costs more than they do.

    `airflows` alone (a test's own Airflow, or a scene's) means that it is a 3.3 with the SimpleAuthManager. Long files
    name a group of their own.
    """
    for item in items:
        if not isinstance(item, pytest.Function) or item.get_closest_marker("xdist_group"):
            continue
        group = item.path.name
        if "airflows" in item.fixturenames:
            flavour = item.callspec.params.get("flavour") if hasattr(item, "callspec") else None
            group = flavour.name if isinstance(flavour, Flavour) else SIMPLE.name
        item.add_marker(pytest.mark.xdist_group(group))


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


class Airflows:
    """One Airflow of each flavour, made when it is first wanted; few run at a time, for want of cores."""

    RUNNING_MAX = 2

    def __init__(self, record: Record, secrets_seen: Secrets, logs: Path) -> None:
        self._record, self._secrets, self._logs = record, secrets_seen, logs
        self._made: dict[Flavour, Airflow] = {}

    def running(self, flavour: Flavour) -> Airflow:
        """That Airflow, up; those not used for the longest time are stopped for it."""
        airflow = self._made.pop(flavour, None) or available(flavour.missing(), lambda: self.new(flavour))
        self._made[flavour] = airflow  # the last one is the one used last
        others = [other for other in self._made.values() if other.running and other is not airflow]
        for other in others[: -(self.RUNNING_MAX - 1)]:
            other.stop()
        if not airflow.running:
            airflow.start()
        return airflow

    def new(self, flavour: Flavour, **settings: str) -> Airflow:
        """Another one, for a test that does to it what others must not meet; the test closes it."""
        return Airflow(self._record, self._secrets, self._logs / f"airflow-{flavour.name}.log", flavour, **settings)

    def close(self) -> None:
        for airflow in self._made.values():
            airflow.close()


@pytest.fixture(scope="session")
def airflows(record: Record, secrets_seen: Secrets, logs: Path) -> Iterator[Airflows]:
    with contextlib.closing(Airflows(record, secrets_seen, logs)) as airflows:
        yield airflows


@pytest.fixture(scope="session")
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Which Airflow `airflow` is: 3.3 with the SimpleAuthManager, unless the test says `@on(…)`."""
    chosen: Flavour = getattr(request, "param", SIMPLE)
    return chosen


@pytest.fixture
def airflow(airflows: Airflows, flavour: Flavour) -> Airflow:
    """A real Airflow, running; connections of earlier tests are gone."""
    airflow = airflows.running(flavour)
    airflow.delete_all_connections()
    return airflow


@contextlib.contextmanager
def an_engine(machine: Machine, record: Record, log: Path, disk_mb: int | None = None) -> Iterator[Engine]:
    """A real Docker engine of the tests' own, running."""
    engine = available(parts.missing_engine(), lambda: Engine(machine, record, log, disk_mb=disk_mb))
    with contextlib.closing(engine):
        available(None, engine.start)
        yield engine


@pytest.fixture(scope="session")
def engine_server(machine: Machine, record: Record, logs: Path) -> Iterator[Engine]:
    with an_engine(machine, record, logs / "dockerd.log") as engine:
        engine.prepare_image()
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
