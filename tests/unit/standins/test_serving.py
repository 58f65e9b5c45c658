"""Starting, stopping, being down and being slow: what all stand-ins share."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import cast

import pytest
import urllib3

from tests.testbed.standins.serving import Exchange, Reply, StandIn


class Echo(StandIn):
    """Answers with the request's body, and counts the bytes."""

    def respond(self, exchange: Exchange) -> None:
        if exchange.path == "/crash":
            raise LookupError("a mistake of the stand-in")
        if exchange.path == "/deaf":
            exchange.send(Reply(401))
        else:
            exchange.send(Reply(200, exchange.body(), "application/octet-stream"))


@pytest.fixture
def echo(kept: Callable[[StandIn], StandIn]) -> Echo:
    return cast("Echo", kept(Echo()))


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=10) as pool:
        yield pool


def test_a_connection_serves_many_requests(echo: Echo, pool: urllib3.PoolManager) -> None:
    for number in range(5):
        assert pool.request("PUT", echo.url, body=b"%d" % number).data == b"%d" % number
    assert pool.connection_from_url(echo.url).num_connections == 1


def test_a_chunked_body_is_read_as_one(echo: Echo, pool: urllib3.PoolManager) -> None:
    pieces = [b"first", b"x" * 200_000, b"last"]
    assert pool.request("POST", echo.url, body=iter(pieces), chunked=True).data == b"".join(pieces)


def test_an_unread_body_does_not_spoil_the_next_request(echo: Echo, pool: urllib3.PoolManager) -> None:
    assert pool.request("PUT", f"{echo.url}/deaf", body=b"GET / HTTP/1.1\r\n\r\n" * 1000).status == 401
    assert pool.request("PUT", echo.url, body=b"next").data == b"next"
    assert pool.connection_from_url(echo.url).num_connections == 1


def test_down_cuts_what_is_open_and_heals_on_the_same_port(echo: Echo, pool: urllib3.PoolManager) -> None:
    assert pool.request("GET", echo.url).status == 200
    echo.down = True
    for _ in range(2):
        with pytest.raises(urllib3.exceptions.ProtocolError):
            pool.request("GET", echo.url)
    echo.heal()
    assert pool.request("GET", echo.url).status == 200


def test_stopped_is_a_refused_port_and_starts_again_there(pool: urllib3.PoolManager) -> None:
    echo = Echo()
    with pytest.raises(RuntimeError, match="before its first start"):
        echo.url  # noqa: B018 - the property itself is what raises
    echo.start()
    url = echo.url
    assert pool.request("GET", url).status == 200
    echo.stop()
    echo.stop()
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        pool.request("GET", url)
    with echo:
        assert echo.url == url
        assert pool.request("GET", url).status == 200


def test_slow_waits_before_every_answer(echo: Echo, pool: urllib3.PoolManager) -> None:
    echo.slow(0.2)
    began = time.monotonic()
    assert pool.request("GET", echo.url).status == 200
    assert time.monotonic() - began >= 0.2


def test_stopping_is_quick_with_idle_slow_and_half_open_clients(pool: urllib3.PoolManager) -> None:
    echo = Echo().start()
    assert pool.request("GET", echo.url).status == 200
    echo.slow(600)
    asked = threading.Thread(target=_ask_in_vain, args=(echo.url,))
    asked.start()
    with socket.create_connection((echo.host, echo.port)) as silent:
        silent.sendall(b"PUT / HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf")
        began = time.monotonic()
        echo.stop()
        assert time.monotonic() - began < 2
    asked.join()
    assert echo.crashes == []


def test_a_mistake_of_the_stand_in_is_kept_for_the_test_to_see(pool: urllib3.PoolManager) -> None:
    with Echo() as echo:
        with pytest.raises(urllib3.exceptions.ProtocolError):
            pool.request("GET", f"{echo.url}/crash")
        assert "a mistake of the stand-in" in echo.crashes[0]


def test_nothing_is_said_on_the_terminal(
    echo: Echo, pool: urllib3.PoolManager, capfd: pytest.CaptureFixture[str]
) -> None:
    pool.request("GET", echo.url)
    with socket.create_connection((echo.host, echo.port)) as rude:
        rude.sendall(b"no HTTP at all\r\n\r\n")
        rude.recv(1000)
    assert capfd.readouterr() == ("", "")


def _ask_in_vain(url: str) -> None:
    with urllib3.PoolManager(retries=False) as pool, pytest.raises(urllib3.exceptions.HTTPError):
        pool.request("GET", url)


@pytest.mark.parametrize(
    ("request_head", "goes_on"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", True),
    ],
)
def test_a_connection_is_kept_where_the_client_wants_that(echo: Echo, request_head: bytes, goes_on: bool) -> None:
    with socket.create_connection((echo.host, echo.port), timeout=10) as client:
        client.sendall(request_head)
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        if goes_on:
            client.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
        assert client.recv(65536) == b""


def test_a_client_that_asks_first_is_told_to_go_on(echo: Echo) -> None:
    with socket.create_connection((echo.host, echo.port), timeout=10) as client:
        client.sendall(b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"body")
        assert client.makefile("rb").read().endswith(b"\r\n\r\nbody")
