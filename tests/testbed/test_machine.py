"""What the test bed changes on the machine is put back; what a killed run left is ended; nothing else is touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.testbed.machine import MARK, rewrite_hosts
from tests.testbed.processes import Process, Record, end_leftovers, start_ticks, wait_until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.mark.parametrize("before", ["127.0.0.1 localhost\n", "127.0.0.1 localhost", "# none\n\n::1 ip6\n", ""])
def test_a_hosts_file_gets_our_lines_and_loses_only_them(tmp_path: Path, before: str) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(before)
    hosts.chmod(0o644)
    rewrite_hosts(hosts, ["10.99.0.1 example.com"])
    rewrite_hosts(hosts, ["10.99.0.1 example.com"])
    ours = f"10.99.0.1 example.com {MARK}\n"
    assert hosts.read_text().endswith(ours)
    assert hosts.read_text().count("example.com") == 1
    with hosts.open("a") as file:
        file.write("10.0.0.1 of-another\n")  # somebody else's, added meanwhile
    rewrite_hosts(hosts, [])
    assert hosts.read_text().splitlines() == [*before.splitlines(), "10.0.0.1 of-another"]
    assert hosts.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [hosts]


def test_what_a_killed_run_left_is_ended_by_id(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    # A run that starts a process, and is killed.
    code = (
        "import os, sys, time; from pathlib import Path\n"
        "from tests.testbed.processes import Process, Record\n"
        f"record = Record(Path({str(tmp_path / 'runs')!r}))\n"
        f"record.directory(Path({str(scratch)!r}))\n"
        f"left = Process(record, 'left'); left.start({SLEEPER!r}, log=Path(os.devnull), env={{}})\n"
        "print(left.pid, flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        left = int(run.stdout.readline())
        assert end_leftovers(tmp_path / "runs") == []  # that run is alive: its process is none of our business
        assert start_ticks(left) is not None
        run.kill()
    assert end_leftovers(tmp_path / "runs") == [f"process {left}", f"directory {scratch}"]
    wait_until(lambda: start_ticks(left) is None, 5, "end of what was left")
    assert not scratch.exists()
    assert list((tmp_path / "runs").glob("*.json")) == []


def test_a_process_that_took_over_an_old_id_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEPER, start_new_session=True) as innocent:
        entry = {"run": [2**22 + 1, 1], "processes": [[innocent.pid, 1]], "directories": []}
        (tmp_path / "1.json").write_text(json.dumps(entry))
        assert end_leftovers(tmp_path) == []
        assert innocent.poll() is None
        innocent.kill()


def test_a_process_is_frozen_thawed_and_ended(tmp_path: Path) -> None:
    process = Process(Record(tmp_path / "runs"), "sleeper")
    process.start(SLEEPER, log=tmp_path / "log", env={})
    state = Path(f"/proc/{process.pid}/stat")
    with process.frozen():
        wait_until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", 5, "the stop")
        assert process.running
    process.send(signal.SIGCONT)
    process.stop()
    assert not process.running
    process.stop()
    assert not os.listdir(tmp_path / "runs")
