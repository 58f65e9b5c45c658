"""What systemd is told, read from a real socket of the kind that it listens on."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ecr_refresher.daemon.systemd import Notifier

PID = 4711


class Manager:
    """The service manager's end."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(address)
        self.sock.setblocking(False)

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.sock.recv(4096).decode())
            except BlockingIOError:
                return found


@pytest.fixture
def manage() -> Iterator[Callable[[str], Manager]]:
    started: list[Manager] = []

    def at(address: str) -> Manager:
        started.append(Manager(address))
        return started[-1]

    yield at
    for manager in started:
        manager.sock.close()


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


def test_each_phase_is_said_once(manage: Callable[[str], Manager], address: str) -> None:
    manager, notifier = manage(address), Notifier({"NOTIFY_SOCKET": address}, PID)
    for phase in ("ready", "ready", "stopping", "stopping"):
        notifier.phase(phase)
    assert manager.heard() == ["READY=1", "STOPPING=1"]


def test_a_reload_is_said_with_the_monotonic_time_and_ends_with_ready(
    manage: Callable[[str], Manager], address: str
) -> None:
    manager, notifier = manage(address), Notifier({"NOTIFY_SOCKET": address}, PID)
    notifier.phase("ready")
    before = time.monotonic_ns() // 1000
    notifier.phase("reloading")
    after = time.monotonic_ns() // 1000
    notifier.phase("ready")
    first, reloading, last = manager.heard()
    said, _, usec = reloading.partition("\nMONOTONIC_USEC=")
    assert (first, said, last) == ("READY=1", "RELOADING=1", "READY=1")
    assert before <= int(usec) <= after


def test_what_has_not_started_does_not_reload(manage: Callable[[str], Manager], address: str) -> None:
    manager, notifier = manage(address), Notifier({"NOTIFY_SOCKET": address}, PID)
    notifier.phase("reloading")
    notifier.phase("ready")
    assert manager.heard() == ["READY=1"]


def test_an_abstract_socket_is_written_with_an_at_sign(manage: Callable[[str], Manager], tmp_path: Path) -> None:
    name = f"ecr-refresher-test-{tmp_path.name}-{id(manage)}"
    manager = manage("\0" + name)
    Notifier({"NOTIFY_SOCKET": "@" + name}, PID).phase("ready")
    assert manager.heard() == ["READY=1"]


def test_the_watchdog_is_fed_at_each_turn_and_the_loop_turns_twice_as_often_as_it_asks(
    manage: Callable[[str], Manager], address: str
) -> None:
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(PID)}
    manager, notifier = manage(address), Notifier(environ, PID)
    assert notifier.watchdog_s == 15.0
    notifier.alive()
    notifier.alive()
    assert manager.heard() == ["WATCHDOG=1", "WATCHDOG=1"]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "-5"},
    ],
)
def test_no_watchdog_is_fed_that_is_not_ours_or_makes_no_sense(
    manage: Callable[[str], Manager], address: str, environ: dict[str, str]
) -> None:
    manager, notifier = manage(address), Notifier({"NOTIFY_SOCKET": address, **environ}, PID)
    notifier.alive()
    assert notifier.watchdog_s is None
    assert manager.heard() == []


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_a_manager_that_is_not_there_or_gone_ends_nothing(environ: dict[str, str]) -> None:
    notifier = Notifier({**environ, "WATCHDOG_USEC": "1000000"}, PID)
    notifier.phase("ready")
    notifier.alive()
    notifier.phase("stopping")
