"""The real daemon under SIGSTOP: its probes don't answer (so they fail), and it tells the truth once it goes on."""

from __future__ import annotations

import time
from signal import SIGCONT, SIGSTOP

import pytest

from tests.faults.conftest import World, children
from tests.testbed.measuring import of_threads
from tests.testbed.processes import wait_until

LIFE_S = 12.0


def thread_states(pid: int) -> set[str]:
    """The letters of proc(5): R, S, T for stopped…"""
    return {stat.rpartition(")")[2].split()[0] for stat in of_threads(pid, "stat")}


def test_a_frozen_daemon_gives_no_answer_and_catches_up_when_it_goes_on(world: World) -> None:
    world.book.life_s = LIFE_S
    daemon = world.start()
    daemon.wait_for(lambda status: status["ready"])
    wait_until(lambda: not children(daemon.pid), 20, "the end of its pass")
    daemon.signal(SIGSTOP)
    try:
        wait_until(lambda: thread_states(daemon.pid) == {"T"}, 20, "the standstill of all its threads")
        stopped = time.monotonic()
        for path in ("/livez", "/readyz"):
            with pytest.raises(TimeoutError):
                daemon.get(path, timeout=1)
        wait_until(lambda: time.monotonic() > stopped + LIFE_S, 2 * LIFE_S, "the expiry of all that it has delivered")
    finally:
        daemon.signal(SIGCONT)
    assert daemon.get("/livez").status == 200
    daemon.wait_for(lambda status: status["ready"])
    assert world.all_is_well()
    assert [line["event"] for line in daemon.logs() if line["event"] in ("ready", "not_ready")][:3] == [
        "ready",
        "not_ready",
        "ready",
    ]
