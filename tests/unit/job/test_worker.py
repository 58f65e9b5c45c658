"""A worker, by itself: which of them the kernel ends first where memory runs out."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from ecr_refresher.boot_clock import boot_time
from ecr_refresher.core import wire
from ecr_refresher.core.plan import Cleanup, Engine, Plan
from tests.testbed.processes import wait_until


@pytest.mark.parametrize("kind", ["listen", "cleanup"])
def test_what_reads_an_engine_goes_before_the_daemon_and_its_passes(
    kind: Literal["listen", "cleanup"], tmp_path: Path
) -> None:
    engine = tmp_path / "engine"
    plan = Plan((), cleanup=Cleanup(enabled=True, engine=Engine(f"unix://{engine}"), state_file=str(tmp_path / "s")))
    job = wire.dump_job(wire.Job(1, boot_time() + 60, plan=plan, kind=kind))
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(engine))
        silent.listen()
        command = [sys.executable, "-P", "-m", "ecr_refresher", "worker"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
            try:
                assert worker.stdin
                worker.stdin.write(job)
                worker.stdin.close()
                score = Path(f"/proc/{worker.pid}/oom_score_adj")
                wait_until(lambda: score.read_text() == "1000\n", 20, "its score")
            finally:
                worker.kill()
