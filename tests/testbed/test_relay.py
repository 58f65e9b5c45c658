"""The relay: a round trip for a connection, one for each answer, and every byte."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import urllib3

from tests.testbed.relay import LossyRelay, Relay
from tests.testbed.standins.serving import Exchange, Reply, StandIn

BIG = b"x" * 1_000_000
FAR_S = 0.08


class Mirror(StandIn):
    """Answers with the request's body."""

    def respond(self, exchange: Exchange) -> None:
        exchange.send(Reply(200, exchange.body(), "application/octet-stream"))


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror() as mirror:
        yield mirror
    assert mirror.crashes == []


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=10) as pool:
        yield pool


def took(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def test_a_connection_and_each_answer_take_one_round_trip(mirror: Mirror, pool: urllib3.PoolManager) -> None:
    with Relay(mirror.url, FAR_S) as relay:
        assert took(lambda: pool.request("GET", relay.url)) >= 2 * FAR_S
        assert FAR_S <= min(took(lambda: pool.request("PUT", relay.url, body=BIG)) for _ in range(3)) < 2 * FAR_S
        relay.delay_s = 0.0
        assert min(took(lambda: pool.request("GET", relay.url)) for _ in range(3)) < FAR_S


def test_large_bodies_go_through_whole(mirror: Mirror, pool: urllib3.PoolManager) -> None:
    with Relay(f"{mirror.url}/deployment", 0.01) as relay:
        assert relay.url.endswith("/deployment")
        assert pool.request("PUT", relay.url, body=BIG).data == BIG


def test_a_server_that_is_gone_ends_the_connection(mirror: Mirror, pool: urllib3.PoolManager) -> None:
    with Relay(mirror.url) as relay:
        mirror.stop()
        with pytest.raises(urllib3.exceptions.ProtocolError):
            pool.request("GET", relay.url)


@pytest.mark.parametrize("reached", [True, False])
def test_a_request_or_its_answer_is_lost_once(mirror: Mirror, pool: urllib3.PoolManager, reached: bool) -> None:
    with LossyRelay(mirror.url) as relay:
        relay.lose_next("PATCH", reached=reached)
        assert pool.request("GET", relay.url).status == 200
        with pytest.raises(urllib3.exceptions.ProtocolError):
            pool.request("PATCH", relay.url, body=b"1")
        assert relay.lost == 1
        assert pool.request("PATCH", relay.url, body=b"2").data == b"2"
