"""One Chromium for all of these tests, and the daemon's server on whatever world a test wants."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from ecr_refresher.core.plan import Server
from tests.testbed import parts
from tests.testbed.browser import Browser
from tests.testbed.processes import Record
from tests.unit.daemon.house import House
from tests.unit.daemon.world import World

Serve = Callable[[World], tuple[House, str]]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory, record: Record) -> Iterator[Browser]:
    if reason := parts.missing_browser():
        parts.give_up(reason)
    with contextlib.closing(Browser(tmp_path_factory.mktemp("chromium") / "profile", record)) as browser:
        yield browser


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(world)`: a server whose pages show that world, and where it is."""
    with contextlib.ExitStack() as stack:

        def begin(world: World) -> tuple[House, str]:
            house = House(world, Server(port=0))
            stack.callback(house.stop)
            return house, f"http://127.0.0.1:{house.server.port}/"

        yield begin
