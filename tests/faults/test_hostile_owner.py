"""One user's files at their worst, beside those of others, in the real daemon: nobody else is late."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ecr_refresher.memory import data_max
from tests.faults.conftest import HOST, World
from tests.testbed.processes import wait_until

pytestmark = pytest.mark.usefixtures("as_root")
BOB = 12_345
ALICE = 20_000 + os.getpid() % 30_000  # nobody on any machine
LIFE_S = 16.0
MEMORY = 160 << 20  # of supervisor, worker and alice's children together


def memory_group() -> Path | None:
    """A control group with that much memory, of version 1 or 2; None where none can be made."""
    name = f"ecr-refresher-test-{os.getpid()}"
    for parent, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(parent, name)
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(MEMORY))
        except OSError:
            group.rmdir()
        else:
            return group
    return None


@pytest.fixture
def confine() -> Iterator[Callable[[int], object]]:
    """`confine(pid)`: bound the memory of a process and its children together; or each, where that can't be had."""
    group = memory_group()
    if group is None:
        most = data_max(MEMORY)
        yield lambda pid: resource.prlimit(pid, resource.RLIMIT_DATA, (most, most))
        return
    members = group / "cgroup.procs"
    yield lambda pid: members.write_text(str(pid))
    for pid in members.read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    wait_until(lambda: not members.read_text(), 10, "the end of what the test has left in its control group")
    group.rmdir()


def hers() -> str:
    """Alice's processes."""
    return subprocess.run(["pgrep", "-l", "-u", str(ALICE)], capture_output=True, text=True, check=False).stdout


def home(path: Path, uid: int) -> Path:
    path.mkdir()
    os.chown(path, uid, uid)
    return path


def spoiled(open_path: Path, bin_path: Path) -> list[Path]:
    """Alice's files: links without end, one that fills memory, one that lies, and helpers that never come to an end."""
    names = ("chain", "huge", "helper", "eater", "sleeper", "record")
    chain, huge, helper, eater, sleeper, record = (home(open_path / name, ALICE) for name in names)
    for number in range(3000):
        (chain / str(number)).symlink_to(str(number + 1))
        os.chown(chain / str(number), ALICE, ALICE, follow_symlinks=False)
    (chain / "config.json").symlink_to("0")
    os.chown(chain / "config.json", ALICE, ALICE, follow_symlinks=False)
    (huge / "config.json").write_bytes(b'{"x": [' + b"10," * (16 << 18) + b"10]}")
    (helper / "config.json").write_text('{"credsStore": "endless"}')
    (eater / "config.json").write_text('{"credsStore": "eater"}')
    (record / ".config.json.ecr-refresher.json").write_text(
        json.dumps(
            {"version": 1, "hosts": {HOST: [{"salt": "", "fingerprint": "", "issued_at": 4e9, "expires_at": 5e9}]}}
        )
    )
    (sleeper / "config.json").write_text('{"credsStore": "sleeper"}')
    for directory in (huge, helper, eater, sleeper, record):
        for file in directory.iterdir():
            os.chown(file, ALICE, ALICE)
    eating = "for one in 1 2 3 4; do setsid tail /dev/zero & done; exec tail /dev/zero"  # each as much as it may have
    for name, script in (("endless", "exec yes"), ("eater", eating), ("sleeper", "exec sleep 600")):
        program = bin_path / f"docker-credential-{name}"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return [directory / "config.json" for directory in (chain, huge, helper, eater, sleeper, record)]


def test_bob_and_airflow_are_never_late_over_three_renewals_beside_a_hostile_alice(
    world: World, open_path: Path, confine: Callable[[int], object]
) -> None:
    programs = open_path / "bin"
    programs.mkdir()
    bobs = home(open_path / "bob", BOB) / "config.json"
    alices = spoiled(open_path, programs)
    world.config_file = bobs
    world.book.life_s = LIFE_S
    world.settings["docker"] = [{"config_file": str(bobs), "owner": f"{BOB}:{BOB}"}] + [
        {"config_file": str(file), "owner": f"{ALICE}:{ALICE}", "required": False} for file in alices
    ]
    daemon = world.start(env={"PATH": f"{programs}:{os.environ['PATH']}"}, answering=False)
    confine(daemon.pid)
    daemon.wait_for(lambda status: status["ready"], within=30)
    seen: set[str] = set()

    def renewed() -> bool:
        assert world.all_is_well()
        seen.add(world.docker_password())
        return len(seen) > 3

    wait_until(renewed, 5 * LIFE_S, "three renewals")
    errors = {slot["sink"]: slot["last_error"] for slot in daemon.status()["slots"]}
    for file in alices[:5]:
        assert errors[f"docker/{file}"] is not None
    assert errors[f"docker/{bobs}"] is None
    (expiry,) = {registry["expires_at"] for registry in daemon.status()["registries"]}
    assert expiry.startswith("20")
    assert expiry < "2090"
    assert daemon.stop() == 0
    wait_until(lambda: not hers(), 10, "the end of all that alice started")
