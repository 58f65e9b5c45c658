"""A credential source that hangs: named in time by `once` and `check`, nobody else's trouble, and gone at the end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.aws.world import HOST, PARTNER, World
from tests.testbed.daemon import Product
from tests.testbed.processes import start_ticks, wait_until

DEADLINE_S = 5.0


@pytest.fixture
def env(world: World, tmp_path: Path) -> dict[str, str]:
    """A profile whose credential_process runs a program of its own that sleeps; `pids` gets the ids of both."""
    program = tmp_path / "slow"
    program.write_text(f"#!/bin/sh\nsleep 75 &\necho $! >> {tmp_path}/pids\necho $$ >> {tmp_path}/pids\nwait\n")
    program.chmod(0o755)
    (tmp_path / "config").write_text(f"[profile slow]\ncredential_process = {program}\n")
    return {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_ENDPOINT_URL_STS": world.ecr.url}


def settings(world: World) -> dict[str, Any]:
    return {
        "registries": [
            {"host": PARTNER, "profile": "slow", "registry_url": world.front.url},
            {"host": HOST, "registry_url": world.front.url},
        ],
        "docker": {"config_file": str(world.config_file)},
        "refresh": {"deadline": f"{DEADLINE_S:.0f}s"},
    }


def left_behind(tmp_path: Path) -> list[int]:
    started = [int(line) for line in (tmp_path / "pids").read_text().split()]
    assert len(started) == 2
    return [pid for pid in started if start_ticks(pid) is not None]


def test_once_ends_in_time_names_the_process_and_serves_the_others(
    world: World, env: dict[str, str], tmp_path: Path
) -> None:
    began = time.monotonic()
    done = world.run_cli("once", "--json", settings=settings(world), ecr_url=world.ecr.url, env=env)
    assert time.monotonic() - began < DEADLINE_S + 5
    assert done.exit_code == 1
    errors = {slot["registry"]: slot["error"] for slot in done.json()["slots"]}
    assert errors[PARTNER]["reason"] == "transient"
    assert "the credential_process of the AWS profile 'slow' did not end within" in errors[PARTNER]["message"]
    assert errors[HOST] is None
    assert set(world.delivered()) == {HOST}
    assert left_behind(tmp_path) == []


def test_the_daemon_names_the_process_and_serves_the_others(
    world: World, env: dict[str, str], tmp_path: Path, product: Product
) -> None:
    given = settings(world)
    given["refresh"] |= {"retry_first": "60s"}
    daemon = product.start_daemon(given, ecr_url=world.ecr.url, env=env)

    def failed(status: dict[str, Any]) -> bool:
        return any(slot["registry"] == PARTNER and slot["last_error"] for slot in status["slots"])

    status = daemon.wait_for(failed, within=DEADLINE_S + 15)
    errors = {slot["registry"]: slot["last_error"] for slot in status["slots"]}
    assert errors[PARTNER]["reason"] == "transient"
    assert "the credential_process of the AWS profile 'slow' did not end within" in errors[PARTNER]["message"]
    assert errors[HOST] is None
    assert set(world.delivered()) == {HOST}
    wait_until(lambda: left_behind(tmp_path) == [], 10, "the end of what the pass has started")


def test_check_names_the_process_and_leaves_none_behind(world: World, env: dict[str, str], tmp_path: Path) -> None:
    done = world.run_cli("check", "--json", settings=settings(world), ecr_url=world.ecr.url, env=env)
    assert done.exit_code == 1
    found = {(leg["leg"], leg["subject"]): leg for leg in done.json()["legs"]}
    slow = found["credentials", "profile slow"]
    assert slow["verdict"] == "failed"
    assert "the credential_process of the AWS profile 'slow' did not end within" in slow["findings"][0]["text"]
    assert found["credentials", "base identity"]["verdict"] == "ok"
    assert left_behind(tmp_path) == []


def test_a_profile_that_asks_for_a_code_is_refused_before_anybody_is_asked(world: World, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "[profile slow]\nrole_arn = arn:aws:iam::210987654321:role/x\nsource_profile = base\n"
        "mfa_serial = arn:aws:iam::1:mfa/bob\n[profile base]\naws_access_key_id = A\naws_secret_access_key = b\n"
    )
    env = {"AWS_CONFIG_FILE": str(tmp_path / "config")}
    done = world.run_cli("once", "--json", settings=settings(world), ecr_url=world.ecr.url, env=env)
    errors = {slot["registry"]: slot["error"] for slot in done.json()["slots"]}
    assert "the AWS profile 'slow' has mfa_serial" in errors[PARTNER]["message"]
    assert errors[HOST] is None
    assert "code" not in done.stderr.replace("asks a person for a code", "")
