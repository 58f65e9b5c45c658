"""One user's files at their worst, beside those of others, in the real daemon: nobody else is late."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.faults.conftest import HOST, World
from tests.testbed.processes import wait_until

pytestmark = pytest.mark.usefixtures("as_root")
BOB = 12_345
ALICE = 20_000 + os.getpid() % 30_000  # nobody on any machine
LIFE_S = 12.0


def home(path: Path, uid: int) -> Path:
    path.mkdir()
    os.chown(path, uid, uid)
    return path


def spoiled(open_path: Path, bin_path: Path) -> list[Path]:
    """Alice's files: links without end, a file that fills memory, a helper that prints for ever, one that lies."""
    chain, huge, helper, record = (home(open_path / name, ALICE) for name in ("chain", "huge", "helper", "record"))
    for number in range(3000):
        (chain / str(number)).symlink_to(str(number + 1))
        os.chown(chain / str(number), ALICE, ALICE, follow_symlinks=False)
    (chain / "config.json").symlink_to("0")
    os.chown(chain / "config.json", ALICE, ALICE, follow_symlinks=False)
    (huge / "config.json").write_bytes(b'{"x": [' + b"10," * (16 << 18) + b"10]}")
    (helper / "config.json").write_text('{"credsStore": "endless"}')
    (record / ".config.json.ecr-refresher.json").write_text(
        json.dumps(
            {"version": 1, "hosts": {HOST: [{"salt": "", "fingerprint": "", "issued_at": 4e9, "expires_at": 5e9}]}}
        )
    )
    for directory in (huge, helper, record):
        for file in directory.iterdir():
            os.chown(file, ALICE, ALICE)
    program = bin_path / "docker-credential-endless"
    program.write_text("#!/bin/sh\nexec yes\n")
    program.chmod(0o755)
    return [directory / "config.json" for directory in (chain, huge, helper, record)]


def test_bob_and_airflow_are_never_late_over_three_renewals_beside_a_hostile_alice(
    world: World, open_path: Path
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
    daemon = world.start(env={"PATH": f"{programs}:{os.environ['PATH']}"})
    daemon.wait_for(lambda status: status["ready"], within=30)
    seen: set[str] = set()

    def renewed() -> bool:
        assert world.all_is_well()
        seen.add(world.docker_password())
        return len(seen) > 3

    wait_until(renewed, 5 * LIFE_S, "three renewals")
    errors = {slot["sink"]: slot["last_error"] for slot in daemon.status()["slots"]}
    for file in alices[:3]:
        assert errors[f"docker/{file}"] is not None
    assert errors[f"docker/{bobs}"] is None
    (expiry,) = {registry["expires_at"] for registry in daemon.status()["registries"]}
    assert expiry.startswith("20")
    assert expiry < "2090"
    assert daemon.stop() == 0
