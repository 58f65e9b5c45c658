"""A world of stand-ins: one book of tokens, and clients that speak to them without proxies or retries."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.serving import StandIn
from tests.testbed.standins.tokens import TokenBook


class Clock:
    """A clock that goes only when told; seconds since the epoch."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(clock: Clock) -> TokenBook:
    return TokenBook(clock=clock)


@pytest.fixture
def ecr(book: TokenBook) -> Iterator[EcrStandIn]:
    with EcrStandIn(book) as stand_in:
        yield stand_in
    assert stand_in.crashes == []


@pytest.fixture
def kept() -> Iterator[Callable[[StandIn], StandIn]]:
    """Start a stand-in; it is stopped after the test, and must not have crashed."""
    started: list[StandIn] = []

    def keep(stand_in: StandIn) -> StandIn:
        started.append(stand_in.start())
        return stand_in

    yield keep
    for stand_in in started:
        stand_in.stop()
        assert stand_in.crashes == []
