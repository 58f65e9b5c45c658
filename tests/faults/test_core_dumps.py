"""No process of the product leaves a core dump: daemon, worker and foreground commands, seen from outside."""

from __future__ import annotations

from pathlib import Path

from tests.faults.conftest import World, children
from tests.testbed.processes import wait_until
from tests.testbed.standins.script import Delay


def core_limits(pid: int) -> list[str]:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line.split()[4:6] for line in lines if line.startswith("Max core file size"))


def test_daemon_and_worker_may_dump_no_core(world: World) -> None:
    world.ecr.always(Delay(30))
    daemon = world.start()
    wait_until(lambda: children(daemon.pid), 10, "a worker")
    # One byte, not 0: the kernel then gives none to a program in core_pattern either.
    for pid in (daemon.pid, *children(daemon.pid)):
        wait_until(lambda pid=pid: core_limits(pid) in (["1", "1"], ["0", "0"]), 10, "its limit")  # type: ignore[misc]
