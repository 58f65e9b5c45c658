"""What a job's process may use: memory that fits its container, time, and no terminal."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ecr_refresher import memory
from ecr_refresher.core import budgets

MB = 1 << 20
READ_TO_THE_END = "os.close(1)\nos.close(2)\n[t.join(20) for t in threading.enumerate() if t.daemon]"


@pytest.mark.parametrize(
    ("cgroup", "most"),
    [
        (None, budgets.DATA_MAX),
        (64 * MB, budgets.DATA_MIN),
        (160 * MB, budgets.DATA_MIN),
        (512 * MB, 512 * MB - budgets.BESIDE),
        (64 << 30, budgets.DATA_MAX),
    ],
)
def test_memory_fits_the_container_and_is_never_without_a_bound(cgroup: int | None, most: int) -> None:
    assert memory.data_max(cgroup) == most


def python(program: str, **more: int) -> subprocess.CompletedProcess[str]:
    """Run a program that is the leader of its own group."""
    start = "from ecr_refresher import logs, memory\nfrom ecr_refresher.job import limits\nimport os, sys, time\n"
    return subprocess.run(
        [sys.executable, "-c", start + program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        process_group=0,
        stdin=subprocess.DEVNULL,
    )


def test_a_leak_ends_in_a_memory_error_that_names_the_limit() -> None:
    done = python(
        "memory.read = lambda: memory.Memory(300 << 20, 0)\n"
        "limits.bound_memory()\n"
        "sys.exit(limits.bare_of_values('worker', lambda: [bytearray(16 << 20) for _ in range(64)]))"
    )
    assert done.returncode == 4
    said = json.loads(done.stderr)
    assert said["error"] == "the worker reached its memory limit of 252 MiB"
    assert said["fix"].startswith("Raise the memory limit")


def test_an_exception_shows_its_place_and_none_of_its_values() -> None:
    done = python("sys.exit(limits.bare_of_values('worker', lambda: {}['a-secret-value']))")
    assert done.returncode == 1
    assert "KeyError at <string>" in json.loads(done.stderr)["error"]
    assert "a-secret-value" not in done.stdout + done.stderr


def test_the_alarm_ends_the_process_and_what_it_has_started() -> None:
    done = python("import subprocess\nlimits.set_alarm(0.3)\nsubprocess.run(['sleep', '20'])")
    assert done.returncode == -9


def test_what_children_print_becomes_log_lines_and_their_input_is_closed() -> None:
    done = python(
        "import subprocess\n"
        "output, errors = limits.leave_terminal()\n"
        "subprocess.run(['sh', '-c', 'cat; echo said \\033[2J; echo complained >&2; head -c 3000 /dev/zero'])\n"
        "os.write(output, b'the result\\n')\n" + READ_TO_THE_END
    )
    assert done.stdout == "the result\n"
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["event"] for line in lines} == {"stray_output"}
    texts = [line["text"] for line in lines]
    assert texts[0].startswith("said ")
    assert texts[1] == "complained"
    assert max(map(len, texts)) <= budgets.STRAY_LINE
    assert "\x1b" not in done.stderr


def test_a_child_that_prints_for_ever_fills_no_log() -> None:
    done = python(
        "import subprocess\nlimits.leave_terminal()\n"
        "subprocess.run('yes | head -c 2000000', shell=True)\n" + READ_TO_THE_END
    )
    assert len(done.stderr) < 200 * budgets.STRAY_ALL
    assert sum(len(json.loads(line)["text"]) for line in done.stderr.splitlines()) <= budgets.STRAY_ALL
