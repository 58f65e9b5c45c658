"""The daemon's shell end to end: the real loop, signals, pipes and server, with a worker that only speaks."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ecr_refresher.daemon.supervisor import TURN_MIN_S

from . import fake_worker

RUN = """
import json, os, sys, time
from ecr_refresher.core import wire
from ecr_refresher.daemon import supervisor, workers
from ecr_refresher.daemon.machine import events
if "UNKILLABLE" in os.environ:
    workers.Worker.kill = lambda _: None
step, counted = supervisor.step, []
def counting(state, event, now):
    if isinstance(event, events.Reported):
        counted.append((now, len(event.lines)))
    return step(state, event, now)
if "COUNTED" in os.environ:
    supervisor.step = counting
if "HANGS" in os.environ:
    stat, dead = os.stat, os.environ["HANGS"]
    os.stat = lambda path, **how: time.sleep(3600) if path == dead else stat(path, **how)
status = supervisor.run(wire.Load(config="settings.yaml"), sys.argv[1:], os.environ)
if counted:
    moments, lines = zip(*counted)
    said = {"event": "counted", "bookings": len(lines), "lines": sum(lines), "lasted_s": moments[-1] - moments[0]}
    print(json.dumps(said), file=sys.stderr)
sys.exit(status)
"""
HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
END_S = 10.0  # DESIGN: SIGTERM ends it within 10 s, always


def plan(port: int = 0, **changed: Any) -> dict[str, Any]:
    connection = {"id": "docker_default", "registry": "own"}
    return {
        "registries": [{"name": "own", "host": HOST, "principal": {"service": "ecr", "region": "us-east-1"}}],
        "airflows": [{"name": "default", "url": "https://airflow.example.com", "connections": [connection]}],
        "server": {"host": "127.0.0.1", "port": port},
        **changed,
    }


class Daemon:
    """A running daemon, the directory of its worker, and what it has said."""

    def __init__(self, directory: Path, environ: dict[str, str], worker: list[str] | None = None) -> None:
        self.directory = directory
        argv = worker or [sys.executable, fake_worker.__file__, str(directory)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, *argv],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **environ},
            text=True,
        )
        self.said: list[dict[str, Any]] = []
        self.port = 0

    def hear(self, event: str) -> dict[str, Any]:
        """Read what is said until this event comes; it is given."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(json.loads(line))
            if self.said[-1]["event"] == event:
                return self.said[-1]
        raise AssertionError(f"'{event}' was never said, but {self.said}")

    def serving(self) -> Daemon:
        self.port = int(self.hear("listening")["address"].rpartition(":")[2])
        self.hear("ready")
        return self

    def ask(self, path: str) -> tuple[int, str]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, 30)) as client:
            client.request("GET", path)
            answer = client.getresponse()
            return answer.status, answer.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        samples = [s for f in text_string_to_metric_families(self.ask("/metrics")[1]) for s in f.samples]
        named = [s for s in samples if s.name == f"ecr_refresher_{name}"]
        (found,) = [s.value for s in named if labels.items() <= s.labels.items()]
        return float(found)

    def jobs(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.directory / "jobs").read_text().splitlines()]

    def behave(self, behaviour: str) -> None:
        (self.directory / "behaviour").write_text(behaviour)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        return self.process.wait(END_S)

    def close(self) -> None:
        left = list[str]()
        with suppress(OSError):  # it has ended by itself
            left = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.process.kill()
        self.process.wait()
        for worker in left:  # one that hangs has no alarm, as a real one has
            with suppress(ProcessLookupError):
                os.killpg(int(worker), signal.SIGKILL)
        assert self.process.stderr is not None
        self.process.stderr.close()


Start = Callable[..., Daemon]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start("serve", plan(…), worker=…, NAME=value)`: a daemon whose worker behaves so."""
    started: list[Daemon] = []

    def begin(
        behaviour: str, settings: dict[str, Any] | None = None, worker: list[str] | None = None, **environ: str
    ) -> Daemon:
        (tmp_path / "behaviour").write_text(behaviour)
        (tmp_path / "plan").write_text(json.dumps(settings or plan()))
        started.append(Daemon(tmp_path, environ, worker))
        return started[-1]

    yield begin
    for daemon in started:
        daemon.close()


def is_gone(pid: int) -> bool:
    """Wait for the end of a process that is not our child."""
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with open(end, "rb"):
        return bool(select.select([end], [], [], END_S)[0])


def test_it_loads_serves_and_tells(start: Start) -> None:
    daemon = start("serve").serving()
    assert daemon.ask("/readyz") == (200, "ok\n")
    assert daemon.ask("/livez") == (200, "ok\n")
    status = json.loads(daemon.ask("/status")[1])
    assert status["ready"] is True
    assert [slot["outcome"] for slot in status["slots"]] == ["written"]
    assert daemon.metric("delivery_attempts_total") == 1
    (job,) = daemon.jobs()
    assert job["load"] == {"config": "settings.yaml"}
    assert job["id"] == 1


def test_a_file_system_that_hangs_stops_nothing_but_the_look_at_its_files(start: Start, tmp_path: Path) -> None:
    """Such as a home directory whose NFS server is dead."""
    dead, well = (str(tmp_path / name / "config.json") for name in ("dead", "well"))
    dockers = [{"config_file": file, "registries": ["own"]} for file in (dead, well)]
    daemon = start("serve", plan(dockers=dockers), HANGS=dead)
    daemon.port = int(daemon.hear("listening")["address"].rpartition(":")[2])
    hung = threading.Event()

    def turn() -> None:
        while not hung.wait(0.2):
            daemon.signal(signal.SIGCHLD)

    threading.Thread(target=turn, daemon=True).start()
    assert dead in daemon.hear("file_hangs")["error"]
    hung.set()
    passes = len(daemon.jobs())
    Path(well).parent.mkdir()
    Path(well).write_text("{}")  # a change, which is looked at
    ends_at = time.monotonic() + END_S
    while len(daemon.jobs()) == passes and time.monotonic() < ends_at:
        assert daemon.ask("/livez")[0] == 200
        time.sleep(0.1)
    assert len(daemon.jobs()) > passes
    daemon.signal(signal.SIGTERM)
    assert daemon.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_with_status_0_when_idle(start: Start, number: signal.Signals) -> None:
    daemon = start("serve").serving()
    daemon.signal(number)
    assert daemon.hear("daemon_stopped")["status"] == 0
    assert daemon.ended() == 0


def test_signals_until_it_is_gone_change_neither_its_status_nor_its_log(start: Start) -> None:
    for _ in range(6):  # the moment that matters is short
        daemon = start("serve").serving()
        while daemon.process.poll() is None:
            daemon.signal(signal.SIGTERM)
            daemon.signal(signal.SIGCHLD)
            time.sleep(0.001)  # a storm of them would leave it no time to end
        assert daemon.process.returncode == 0
        assert daemon.process.stderr is not None
        assert [line for line in daemon.process.stderr if not line.startswith("{")] == []


def test_it_ends_with_status_0_while_a_worker_hangs_and_leaves_nothing_behind(start: Start) -> None:
    daemon = start("hang")
    worker, child = daemon.hear("worker_runs")["pid"], daemon.hear("worker_hangs")["child"]
    daemon.signal(signal.SIGTERM)
    assert daemon.ended() == 0
    assert is_gone(worker)
    assert is_gone(child)


def test_it_answers_before_the_first_pass_is_over(start: Start) -> None:
    daemon = start("hang")
    daemon.port = int(daemon.hear("listening")["address"].rpartition(":")[2])
    assert daemon.ask("/livez")[0] == 200
    status, text = daemon.ask("/readyz?verbose")
    assert (status, text) == (503, "[-]airflow/default/docker_default failed: not looked at yet\nfailed\n")


def test_sighup_reads_the_settings_anew(start: Start) -> None:
    daemon = start("serve").serving()
    daemon.signal(signal.SIGHUP)
    assert daemon.hear("settings_reloaded")["changed"] is False
    assert "load" in daemon.jobs()[-1]
    assert daemon.metric("config_reloads_total", result="success") == 1


def test_bad_new_settings_leave_the_old_ones_in_force(start: Start) -> None:
    daemon = start("serve").serving()
    daemon.behave("refuse")
    daemon.signal(signal.SIGHUP)
    said = daemon.hear("settings_refused")
    assert (said["level"], said["error"]) == ("error", "server.listen: no such port")
    assert daemon.ask("/readyz")[0] == 200
    assert daemon.metric("config_reloads_total", result="failure") == 1
    assert daemon.metric("config_last_reload_successful") == 0
    daemon.behave("serve")
    daemon.signal(signal.SIGHUP)
    daemon.hear("settings_reloaded")
    assert daemon.metric("config_last_reload_successful") == 1


def test_a_reload_whose_worker_dies_leaves_the_old_plan_at_work(start: Start) -> None:
    daemon = start("serve").serving()
    daemon.behave("die")
    daemon.signal(signal.SIGHUP)
    said = daemon.hear("reload_failed")
    assert "exit status 3" in said["error"]
    assert daemon.ask("/readyz")[0] == 200
    assert daemon.metric("config_last_reload_successful") == 0
    daemon.behave("serve")
    daemon.signal(signal.SIGUSR1)
    daemon.hear("worker_runs")
    assert "load" not in daemon.jobs()[-1], "the old plan goes on"
    daemon.hear("settings_reloaded")  # by itself, after a pause
    assert daemon.metric("config_last_reload_successful") == 1


def test_a_new_address_needs_a_restart_and_says_so(start: Start) -> None:
    daemon = start("serve").serving()
    (daemon.directory / "plan").write_text(json.dumps(plan(port=1)))
    daemon.signal(signal.SIGHUP)
    assert daemon.hear("restart_needed")["fix"] == "Restart the daemon to apply it"
    assert daemon.ask("/livez")[0] == 200


def test_sigusr1_has_everything_written_now(start: Start) -> None:
    daemon = start("serve").serving()
    daemon.signal(signal.SIGUSR1)
    assert daemon.hear("worker_runs")["job"] == 2
    job = daemon.jobs()[-1]
    assert (job["force"], len(job["orders"])) == (True, 1)
    assert job["plan"]["registries"][0]["host"] == HOST


def test_settings_refused_at_the_start_are_status_2(start: Start) -> None:
    daemon = start("refuse")
    daemon.hear("worker_refuses")
    assert daemon.process.stderr is not None
    assert daemon.process.stderr.readline() == "ecr-refresher: settings: server.listen: no such port\n"
    assert daemon.ended() == 2


def test_a_port_in_use_is_status_1_and_says_which_and_the_fix(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon = start("hang", plan(port))
        said = daemon.hear("cannot_listen")
        assert daemon.ended() == 1
    assert f"127.0.0.1:{port}" in said["error"]
    assert "ECR_REFRESHER_LISTEN" in said["fix"]


def test_a_worker_that_dies_is_a_failed_pass_and_no_end(start: Start) -> None:
    daemon = start("serve").serving()
    daemon.behave("die")
    daemon.signal(signal.SIGUSR1)
    assert daemon.hear("pass_died")["error"] == "the pass ended early: exit status 3"
    status, text = daemon.ask("/readyz?verbose")
    assert (status, text) == (200, "[+]airflow/default/docker_default ok\npassed\n")
    assert daemon.metric("delivery_failures_total", reason="internal") == 1


def test_a_first_worker_that_dies_ends_nothing_either(start: Start) -> None:
    daemon = start("die")
    assert "exit status 3" in daemon.hear("load_failed")["error"]
    daemon.signal(signal.SIGTERM)
    assert daemon.ended() == 0


def test_a_worker_that_can_t_be_started_ends_nothing_either(start: Start) -> None:
    daemon = start("serve", worker=["/nowhere/python"])
    assert "could not be started: No such file" in daemon.hear("load_failed")["error"]
    daemon.signal(signal.SIGTERM)
    assert daemon.ended() == 0


def test_a_worker_that_babbles_is_killed(start: Start) -> None:
    daemon = start("serve").serving()
    daemon.behave("babble")
    daemon.signal(signal.SIGUSR1)
    pid = daemon.hear("worker_runs")["pid"]
    daemon.hear("worker_garbled")
    assert daemon.hear("pass_died")["error"] == "the pass ended early: killed by signal 9"
    assert is_gone(pid)
    assert "Traceback" not in json.dumps(daemon.said)


def test_what_a_worker_has_said_before_it_babbles_counts(start: Start) -> None:
    daemon = start("garble")
    daemon.port = int(daemon.hear("listening")["address"].rpartition(":")[2])
    daemon.hear("worker_garbled")
    daemon.hear("pass_died")
    assert daemon.metric("delivery_attempts_total") == 1
    assert daemon.ask("/readyz")[0] == 200


def test_a_worker_that_can_t_be_killed_does_not_hold_up_the_end(start: Start) -> None:
    # In an uninterruptible wait (a dead disk) no signal reaches a process; here it is never sent.
    daemon = start("hang", UNKILLABLE="1")
    worker, child = daemon.hear("worker_runs")["pid"], daemon.hear("worker_hangs")["child"]
    daemon.signal(signal.SIGTERM)
    try:
        assert "can't be killed" in daemon.hear("worker_left_behind")["error"]
        assert daemon.ended() == 0
    finally:
        os.killpg(worker, signal.SIGKILL)
    assert is_gone(child)


def test_a_pass_that_takes_too_long_is_killed_with_all_it_started(start: Start) -> None:
    daemon = start("serve", plan(refresh={"deadline": 5.0})).serving()
    daemon.behave("hang")
    daemon.signal(signal.SIGUSR1)
    worker, child = daemon.hear("worker_runs")["pid"], daemon.hear("worker_hangs")["child"]
    daemon.hear("pass_killed")
    daemon.hear("pass_died")
    assert is_gone(worker)
    assert is_gone(child)
    assert "took too long" in json.loads(daemon.ask("/status")[1])["slots"][0]["last_error"]["message"]


def test_what_a_worker_leaves_behind_is_ended_with_it_though_it_was_a_success(start: Start) -> None:
    daemon = start("litter")
    child = daemon.hear("worker_leaves")["child"]
    daemon.serving()
    assert is_gone(child)
    assert daemon.ask("/readyz")[0] == 200


def test_systemd_is_told_of_start_reload_and_end_by_the_daemon_alone(start: Start, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        daemon = start("serve", NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert manager.recv(100) == b"READY=1"
        for behaviour in ("serve", "refuse", "die"):
            daemon.behave(behaviour)
            daemon.signal(signal.SIGHUP)
            assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert manager.recv(100) == b"READY=1", "good or bad, the reload is over"
        daemon.signal(signal.SIGTERM)
        assert daemon.ended() == 0
        assert manager.recv(100) == b"STOPPING=1"
        assert "NOTIFY_SOCKET" not in daemon.jobs()[0]["environ"]


def test_report_lines_that_trickle_in_are_booked_together(start: Start) -> None:
    """A turn costs as much as there are slots: it must not come with each line."""
    daemon = start("trickle", COUNTED="1")
    daemon.hear("ready")
    daemon.signal(signal.SIGTERM)
    counted = daemon.hear("counted")
    assert counted["lines"] >= fake_worker.TRICKLE
    assert counted["bookings"] <= counted["lasted_s"] / TURN_MIN_S + 2
