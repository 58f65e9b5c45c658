"""Bad clients cost the daemon bounded memory and no lateness: its loop turns on, probes are answered meanwhile."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable
from signal import SIGUSR1

from tests.faults.conftest import World, resident_mb
from tests.testbed.daemon import Daemon
from tests.testbed.processes import wait_until

GROWTH_MB = 5.0
FUZZ = 100_000
BATCH = 50


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def send(port: int, text: bytes) -> None:
    with contextlib.suppress(OSError), connect(port) as sock:
        sock.sendall(text)
        sock.recv(65536)


def huge_heads(port: int, _random: random.Random) -> None:
    for _ in range(20):
        send(port, b"GET /livez HTTP/1.1\r\nX-Long: " + b"x" * 10_000_000 + b"\r\n\r\n")


def many_connections(port: int, _random: random.Random) -> None:
    opened: list[socket.socket] = []
    for _ in range(500):
        with contextlib.suppress(OSError):
            opened.append(connect(port))
    for sock in opened:
        sock.close()


def half_requests(port: int, _random: random.Random) -> None:
    for text in (b"G", b"GET /livez", b"GET /livez HTTP/1.1\r\nHost", b"\r\n", b"\0\xff" * 100):
        with contextlib.suppress(OSError), connect(port) as sock:
            sock.sendall(text)


def slow_writers(port: int, _random: random.Random) -> None:
    opened: list[socket.socket] = []
    for _ in range(40):
        with contextlib.suppress(OSError):
            opened.append(connect(port))
    for letter in b"GET /livez HTTP/1.1\r\nX-Slow: yes":
        for sock in opened:
            with contextlib.suppress(OSError):
                sock.sendall(bytes([letter]))
        time.sleep(0.05)
    for sock in opened:
        sock.close()


def slow_readers(port: int, _random: random.Random) -> None:
    for _ in range(20):
        with contextlib.suppress(OSError), connect(port) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            sock.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 50)


def fuzz(port: int, rng: random.Random) -> None:
    """Requests of chance, many on one connection for as long as the daemon takes them."""
    words = [b"GET", b"POST", b"/", b"/livez", b"/readyz?verbose", b"/metrics", b"HTTP/1.1", b"HTTP/9", b"\r\n", b": "]
    for _ in range(FUZZ // BATCH):
        pieces = [rng.choice(words) if rng.random() < 0.8 else rng.randbytes(rng.randrange(20)) for _ in range(6)]
        with contextlib.suppress(OSError), connect(port) as sock:
            sock.sendall(b"".join(b" ".join(pieces) + b"\r\n\r\n" for _ in range(BATCH)))


def attack(daemon: Daemon, how: Callable[[int, random.Random], None]) -> None:
    """Attack in a thread, and ask the probe all the time: it must be answered."""
    attacker = threading.Thread(target=how, args=(daemon.port, random.Random(1)))
    attacker.start()
    while attacker.is_alive():
        assert daemon.get("/livez").status == 200
    attacker.join()
    assert daemon.get("/livez").status == 200


def test_bad_clients_cost_bounded_memory_and_no_lateness(world: World) -> None:
    daemon = world.start()
    daemon.wait_for(lambda status: status["ready"])
    daemon.metrics()
    before = resident_mb(daemon.pid)
    for how in (huge_heads, many_connections, half_requests, slow_writers, slow_readers, fuzz):
        passes = len(daemon.logs("pass_finished"))
        turned = daemon.metrics().value("ecr_refresher_loop_last_iteration_timestamp_seconds")
        daemon.signal(SIGUSR1)
        attack(daemon, how)
        wait_until(lambda passes=passes: len(daemon.logs("pass_finished")) > passes, 20, "a pass")  # type: ignore[misc]
        assert daemon.metrics().value("ecr_refresher_loop_last_iteration_timestamp_seconds") > turned, how.__name__
        assert resident_mb(daemon.pid) - before < GROWTH_MB, how.__name__
    assert daemon.get("/readyz").status == 200
