"""Worker or supervisor killed at any of their steps: nothing is torn or lost, nobody is orphaned, all recovers."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import World, children
from tests.testbed.processes import wait_until
from tests.testbed.standins.script import Delay
from tests.testbed.standins.serving import StandIn

STUCK_S = 30.0
STEPS: dict[str, tuple[str, Callable[[World], None]]] = {  # whose answer the step waits for, and how that hangs
    "look at Airflow": ("airflow", lambda world: world.airflow.always(Delay(STUCK_S), method="GET")),
    "login at Airflow": ("airflow", lambda world: world.airflow.always(Delay(STUCK_S), path="/auth/token")),
    "fetch": ("ecr", lambda world: world.ecr.always(Delay(STUCK_S))),
    "proof": ("front", lambda world: world.front.slow(STUCK_S)),
    "write into Airflow": ("airflow", lambda world: world.airflow.always(Delay(STUCK_S), method="POST")),
}


def hang_at(step: str, world: World) -> StandIn:
    """Have a step hang; gives the stand-in that counts those that do."""
    part, hang = STEPS[step]
    hang(world)
    found: StandIn = getattr(world, part)
    return found


def only_child(pid: int) -> int:
    wait_until(lambda: len(children(pid)) == 1, 10, "a worker")
    return children(pid)[0]


def hung_helper(world: World, script: str) -> Callable[[], list[int]]:
    """Have all logins stored by a helper that ends with this; gives how to ask for the pids of those it started."""
    kept = world.directory / "pids"
    helper = world.directory / "bin" / "docker-credential-hang"
    helper.parent.mkdir()
    helper.write_text(f"#!/bin/sh\necho $$ >> {kept}\n{script.format(kept)}\n")
    helper.chmod(0o755)
    world.config_file.parent.mkdir()
    world.config_file.write_text('{"credsStore": "hang"}')
    return lambda: [int(pid) for pid in kept.read_text().split()] if kept.exists() else []


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_at_any_step_is_followed_by_one_that_does_the_work(step: str, world: World) -> None:
    stuck = hang_at(step, world)
    daemon = world.start()
    worker = only_child(daemon.pid)
    wait_until(lambda: stuck.paused, 20, f"{step} to hang")
    os.kill(worker, signal.SIGKILL)
    world.heal()
    daemon.wait_for(lambda status: status["ready"], within=30)
    assert world.all_is_well()
    assert daemon.get("/livez").status == 200


@pytest.mark.parametrize("step", STEPS)
def test_sigterm_at_any_step_ends_with_0_and_whole_files(step: str, world: World) -> None:
    stuck = hang_at(step, world)
    daemon = world.start()
    worker = only_child(daemon.pid)
    wait_until(lambda: stuck.paused, 20, f"{step} to hang")
    assert daemon.stop() == 0
    assert not Path(f"/proc/{worker}").exists()
    if world.config_file.exists():
        json.loads(world.config_file.read_text())


def test_sigterm_while_it_loads_ends_it_with_0_too(world: World) -> None:
    """As process 1 of a container it would never hear of it, if nobody held it back until it can be handled."""
    daemon = world.start(answering=False)
    status, term = Path(f"/proc/{daemon.pid}/status"), 1 << (signal.SIGTERM - 1)

    def held_back() -> bool:
        blocked = next(line for line in status.read_text().splitlines() if line.startswith("SigBlk"))
        return bool(int(blocked.split()[1], 16) & term)

    wait_until(held_back, 10, "the moment in which it begins to load", every=0.001)
    assert daemon.stop() == 0


def test_after_a_killed_supervisor_no_worker_outlives_its_alarm_and_a_restart_fetches_nothing(world: World) -> None:
    world.book.life_s = 12 * 3600  # as ECR's: a marker in Airflow does not say how long its token lives in all
    daemon = world.start()
    daemon.wait_for(lambda status: status["ready"])
    wait_until(lambda: not children(daemon.pid), 10, "the end of the first pass")
    world.ecr.always(Delay(STUCK_S))
    world.settings["refresh"]["deadline"] = "5s"
    daemon.restart()
    wait_until(lambda: not children(daemon.pid), 10, "the end of its first pass")
    daemon.signal(signal.SIGUSR1)
    worker = only_child(daemon.pid)
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait(5)
    wait_until(lambda: not Path(f"/proc/{worker}").exists(), 40, "the orphan's end")
    world.heal()
    calls = len(world.ecr.calls)
    daemon.start(world.settings, ecr_url=world.ecr.url, measured=False)
    daemon.wait_until_answering()
    daemon.wait_for(lambda status: status["ready"], within=15)
    wait_until(lambda: not children(daemon.pid), 10, "the end of its first pass")
    assert len(world.ecr.calls) == calls


def test_after_a_killed_supervisor_a_hung_helper_and_what_it_started_do_not_live_on(world: World) -> None:
    """The helper itself is ended by its timeout, its own child only with the worker's group."""
    world.settings["refresh"]["deadline"] = "5s"
    pids = hung_helper(world, "sleep 300 & echo $! >> {0}; wait")
    daemon = world.start(env={"PATH": f"{world.directory / 'bin'}:{os.environ['PATH']}"})
    wait_until(lambda: len(pids()) == 2, 15, "the helper's start")
    worker, left = only_child(daemon.pid), pids()
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait(5)
    for pid in (worker, *left):
        wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), 40, "the orphans' end")  # type: ignore[misc]
    daemon.start(world.settings | {"docker": []}, ecr_url=world.ecr.url, measured=False)
    daemon.wait_for(lambda status: status["ready"], within=15)
    assert world.book.check("AWS", world.airflow_password()) == "ok"


def test_a_pass_that_hangs_is_ended_at_its_deadline_with_all_that_it_started(world: World) -> None:
    world.settings["refresh"]["deadline"] = "5s"
    pids = hung_helper(world, "exec sleep 300")
    daemon = world.start(env={"PATH": f"{world.directory / 'bin'}:{os.environ['PATH']}"})
    wait_until(pids, 15, "the helper's start")
    worker, pid = only_child(daemon.pid), pids()[0]
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), 30, "the helper's end")
    wait_until(lambda: not Path(f"/proc/{worker}").exists(), 30, "the worker's end")
    assert daemon.get("/livez").status == 200
    wait_until(lambda: world.book.check("AWS", world.airflow_password()) == "ok", 20, "Airflow's own delivery")
