"""Bad clients cost the daemon bounded memory and no lateness: its loop turns on, probes are answered meanwhile."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGUSR1

import pytest

from tests.faults.conftest import World, resident_mb
from tests.testbed import parts
from tests.testbed.certificates import CertificateAuthority
from tests.testbed.daemon import MEASURING, Daemon
from tests.testbed.processes import wait_until

GROWTH_MB = 5.0
PATIENCE_S = 20.0  # no answer within this is none
FUZZ = 100_000
BATCH = 50
END = b" HTTP/1.1\r\nHost: x\r\n\r\n"


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
            sock.sendall((b"GET /metrics" + END) * 50)


def fuzz(port: int, rng: random.Random) -> None:
    """Requests of chance, many on one connection for as long as the daemon takes them."""
    words = [b"GET", b"POST", b"/", b"/livez", b"/readyz?verbose", b"/metrics", b"HTTP/1.1", b"HTTP/9", b"\r\n", b": "]
    for _ in range(FUZZ // BATCH):
        pieces = [rng.choice(words) if rng.random() < 0.8 else rng.randbytes(rng.randrange(20)) for _ in range(6)]
        with contextlib.suppress(OSError), connect(port) as sock:
            sock.sendall(b"".join(b" ".join(pieces) + b"\r\nHost: x\r\n\r\n" for _ in range(BATCH)))


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


# --- the server alone, with a thousand slots and a state that changes all the time ------------------------------------
class Alone:
    """The server in a process of its own."""

    def __init__(self, slots: int, *certificate: str, descriptors: int | None = None) -> None:
        self._tls = ssl._create_unverified_context() if certificate else None

        def limit() -> None:
            if descriptors is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        bare = {name: value for name, value in os.environ.items() if name not in MEASURING}
        command = [sys.executable, "-m", "tests.testbed.web_server", str(slots), *certificate]
        self._process = subprocess.Popen(
            command,
            env=bare,
            cwd=parts.REPOSITORY,
            preexec_fn=limit,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def dial(self, *, slow: bool = False) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)
        if self._tls is not None:
            sock = self._tls.wrap_socket(sock)
        if slow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        return sock

    def get(self, path: str) -> bytes:
        with self.dial() as sock:
            sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = b""
            while some := sock.recv(65536):
                answer += some
            return answer

    def peak_mb(self) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

    def cpu_s(self) -> float:
        words = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(20) == 0
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(params=["http", "https"])
def alone(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Alone]:
    certificate = CertificateAuthority(tmp_path).issue("127.0.0.1") if request.param == "https" else ()
    alone = Alone(1000, *certificate)
    yield alone
    alone.end()


def test_slow_readers_of_a_thousand_slots_share_the_body_and_probes_are_answered(alone: Alone) -> None:
    assert len(alone.get("/metrics")) > 2_000_000
    for path in ("/status", "/"):
        alone.get(path)
    before = alone.peak_mb()
    with contextlib.ExitStack() as stack:
        for number in range(250):
            page = (b"/metrics", b"/status", b"/")[number % 3]
            with contextlib.suppress(OSError):
                stack.enter_context(alone.dial(slow=True)).sendall((b"GET " + page + END) * 3)
            if number % 25 == 0:
                assert b" 200 OK" in alone.get("/livez")
        time.sleep(1)  # no wait for anything: so long they go on, and the state changes under them
        assert b" 200 OK" in alone.get("/livez")
    assert alone.peak_mb() - before < 25


def test_connections_at_the_limit_of_descriptors_wait_without_work_for_the_loop() -> None:
    alone = Alone(1, descriptors=40)
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(alone.dial())
        before, began = alone.cpu_s(), time.monotonic()
        time.sleep(2)
        assert (alone.cpu_s() - before) / (time.monotonic() - began) < 0.1, "the loop is busy"
    assert b" 200 OK" in alone.get("/livez")
    alone.end()
