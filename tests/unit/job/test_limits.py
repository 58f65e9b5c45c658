"""What a job's process may use: memory that fits its container, time, and no terminal."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from ecr_refresher import memory
from ecr_refresher.core import budgets

MB = 1 << 20


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
        "os.write(output, b'the result\\n')\n"
        "limits.hear_out()\n"
    )
    assert done.returncode == 0
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
        "subprocess.run('yes | head -c 2000000', shell=True)\n"
        "limits.hear_out()\n"
    )
    assert done.returncode == 0
    assert len(done.stderr) < 200 * budgets.STRAY_ALL
    assert sum(len(json.loads(line)["text"]) for line in done.stderr.splitlines()) <= budgets.STRAY_ALL


COMMAND = """
import subprocess
from ecr_refresher.job.commands import foreground
def work(_):
    subprocess.run(['sh', '-c', {script!r}])
    return foreground.Result(0, 'done')
sys.exit(foreground.run('test', work, 20))
"""


def test_the_last_words_of_a_commands_children_are_logged() -> None:
    done = python(COMMAND.format(script="seq 500 >&2"))
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert [json.loads(line)["text"] for line in done.stderr.splitlines()] == [str(n) for n in range(1, 501)]


def test_a_child_that_lives_on_delays_no_commands_end() -> None:
    began = time.monotonic()
    done = python(COMMAND.format(script="echo said; setsid sleep 8 &"))
    assert time.monotonic() - began < 6
    assert json.loads(done.stderr)["text"] == "said"


def test_the_last_words_of_a_workers_children_are_logged() -> None:
    done = python(
        "import subprocess\n"
        "from ecr_refresher import cli\n"
        "from ecr_refresher.job import worker\n"
        "def serve():\n"
        "    limits.leave_terminal()\n"
        "    return subprocess.run(['sh', '-c', 'seq 500 >&2']).returncode\n"
        "worker.serve = serve\n"
        "cli.main(['worker'])\n"
    )
    assert done.returncode == 0
    assert [json.loads(line)["text"] for line in done.stderr.splitlines()] == [str(n) for n in range(1, 501)]
