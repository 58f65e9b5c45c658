"""A health check that waits: not while the container is young, and without a Python in memory."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.testbed.processes import wait_until

WAIT = "import sys; from ecr_refresher.status import pause; pause.after_start(float(sys.argv[1])); print('over')"
FOR_EVER_S = 1e9


def waiting(seconds: float, path: str = "/usr/bin:/bin") -> subprocess.Popen[str]:
    env = {"PATH": path, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", WAIT, f"{seconds:g}"]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def test_a_young_container_s_check_does_not_wait() -> None:
    with waiting(FOR_EVER_S) as check:  # no process 1 is that old
        assert check.communicate(timeout=20)[0] == "over\n"


def test_later_the_sleep_command_waits_and_ends_well() -> None:
    began = time.monotonic()
    with waiting(1.0) as check:
        wait_until(lambda: Path(f"/proc/{check.pid}/comm").read_text() == "sleep\n", 20, "the sleep command", 0.01)
        assert check.communicate(timeout=20)[0] == ""
    assert check.returncode == 0
    assert time.monotonic() - began >= 1


def test_where_there_is_no_sleep_command_python_waits(tmp_path: Path) -> None:
    began = time.monotonic()
    with waiting(1.0, path=str(tmp_path)) as check:
        assert check.communicate(timeout=20)[0] == "over\n"
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("words", [["--pause", "2m"], ["--pause=90s"]])
def test_a_bad_answer_is_told_at_once(words: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "ecr_refresher", "status", "--live", *words, "--url", "http://127.0.0.1:9"]
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert "nothing listens" in done.stderr
