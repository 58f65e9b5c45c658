"""A daemon that a program of the settings starts ends with the pass or command, even in a session of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecr_refresher.boot_clock import boot_time
from ecr_refresher.core import wire

PROGRAM = [sys.executable, "-P", "-m", "ecr_refresher"]
HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Path]:
    """Settings whose AWS profile runs a program that leaves a daemon behind, and its process id."""
    program = tmp_path / "process"
    daemon = f"setsid sh -c 'echo $$ > {tmp_path}/pid; sleep 604 & exec sleep 605' </dev/null >/dev/null 2>&1 &"
    waits = f"while [ ! -s {tmp_path}/pid ]; do sleep 0.01; done"
    program.write_text(f"#!/bin/sh\n{daemon}\n{waits}\necho '{{}}'\n")
    program.chmod(0o755)
    (tmp_path / "aws").write_text(f"[default]\ncredential_process = {program}\n")
    (tmp_path / "c.yaml").write_text(f"registries: [{HOST}]\ndocker: {{config_file: {tmp_path}/config.json}}\n")
    yield tmp_path / "c.yaml"
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        os.killpg(int((tmp_path / "pid").read_text()), signal.SIGKILL)


@pytest.mark.parametrize("command", ["once", "check", "worker"])
def test_nothing_outlives_the_end(settings: Path, command: str) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environ |= {"AWS_CONFIG_FILE": f"{settings.parent}/aws", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    job = wire.dump_job(wire.Job(1, boot_time() + 60, load=wire.Load(str(settings)))) if command == "worker" else b""
    argv = [*PROGRAM, command] if job else [*PROGRAM, command, "--config", str(settings)]
    ended = subprocess.run(
        argv, input=job, capture_output=True, env=environ, timeout=60, check=False, start_new_session=True
    )
    assert b"credential_process" in ended.stdout + ended.stderr
    with pytest.raises(ProcessLookupError):
        os.killpg(int((settings.parent / "pid").read_text()), 0)
