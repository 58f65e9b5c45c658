"""Commands in the foreground: they end in time whatever hangs, leave no process behind, and touch no terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import World, children
from tests.testbed.daemon import PRODUCT, clean_environment, log_lines, write_settings
from tests.testbed.processes import wait_until
from tests.testbed.standins.script import Delay

DEADLINE_S, GRACE_S = 5.0, 5.0


class Command:
    """One command under way, and what it starts: a `credential_process` that notes its process id and then hangs."""

    def __init__(self, world: World, *, deaf: bool = False) -> None:
        self.world = world
        self.pids = world.directory / "pids"
        script = world.directory / "credentials"
        ignore = "trap '' TERM INT HUP ALRM\n" if deaf else ""
        script.write_text(f"#!/bin/sh\n{ignore}echo $$ >> {self.pids}\nsleep 600 &\necho $! >> {self.pids}\nwait\n")
        script.chmod(0o755)
        config = world.directory / "aws-config"
        config.write_text(f"[default]\ncredential_process = {script}\nregion = us-east-1\n")
        settings = {**world.settings, "refresh": {"deadline": f"{DEADLINE_S:.0f}s"}}
        environ = clean_environment(world.directory, ecr_url=world.ecr.url, env={"AWS_CONFIG_FILE": str(config)})
        self.environ = {name: value for name, value in environ.items() if not name.startswith("AWS_ACC")}
        self.environ.pop("AWS_SECRET_ACCESS_KEY")
        self.settings = write_settings(settings, world.directory / "settings.yaml")

    def start(self, *args: str, **more: object) -> subprocess.Popen[bytes]:
        command = [*PRODUCT, *args, "--config", str(self.settings)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=self.environ, stdout=pipe, stderr=pipe, **more)  # type: ignore[call-overload,no-any-return]

    def started(self) -> list[int]:
        with contextlib.suppress(OSError):
            return [int(pid) for pid in self.pids.read_text().split()]
        return []

    def left(self) -> list[int]:
        return [pid for pid in self.started() if Path(f"/proc/{pid}").exists() and not _is_zombie(pid)]


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


@pytest.fixture
def hung(world: World) -> Iterator[Command]:
    command = Command(world, deaf=True)
    yield command
    for pid in command.left():
        os.kill(pid, signal.SIGKILL)


def test_once_ends_in_time_beside_a_credential_process_that_hangs_and_leaves_none(hung: Command) -> None:
    began = time.monotonic()
    process = hung.start("once", "--json")
    output, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < DEADLINE_S + GRACE_S
    assert process.returncode == 1
    document = json.loads(output)
    assert {slot["error"]["reason"] for slot in document["slots"]} == {"transient"}
    assert hung.started()
    wait_until(lambda: not hung.left(), 5, "the end of what it has started")
    log_lines(errors.decode())


@pytest.mark.timeout(120)
def test_check_leaves_no_process_behind(hung: Command) -> None:
    process = hung.start("check", "--json")
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 1
    assert any(leg["verdict"] == "failed" for leg in json.loads(output)["legs"])
    assert hung.started()
    wait_until(lambda: not hung.left(), 5, "the end of what it has started")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 1), (signal.SIGINT, 130), (signal.SIGHUP, 1)])
def test_a_signal_ends_it_at_once_with_all_that_it_has_started(
    hung: Command, number: signal.Signals, status: int
) -> None:
    process = hung.start("once")
    wait_until(lambda: len(hung.started()) == 2, 20, "the credential process")
    began = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == status
    assert time.monotonic() - began < 5
    wait_until(lambda: not hung.left(), 5, "the end of what it has started")


def test_killed_itself_it_leaves_nothing_behind(hung: Command) -> None:
    process = hung.start("once")
    wait_until(lambda: len(hung.started()) == 2, 20, "the credential process")
    (worker,) = children(process.pid)
    process.kill()
    process.communicate(timeout=20)
    wait_until(lambda: not hung.left() and not Path(f"/proc/{worker}").exists(), 5, "their end")


def test_a_worker_that_is_killed_is_said_to_be(world: World) -> None:
    world.ecr.always(Delay(30))
    command = Command(world)
    command.environ |= clean_environment(world.directory, ecr_url=world.ecr.url)
    process = command.start("once")
    wait_until(lambda: children(process.pid), 20, "its child")
    os.kill(children(process.pid)[0], signal.SIGSEGV)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    (said,) = [line for line in log_lines(errors.decode()) if line["event"] == "once_failed"]
    assert "killed by signal 11" in said["error"]
    assert said["fix"]


@pytest.mark.parametrize("command", ["once", "check"])
def test_no_helper_gets_the_terminal_and_what_it_prints_goes_to_the_log(world: World, command: str) -> None:
    """It would read what people type, and could type for them (TIOCSTI)."""
    seen = world.directory / "seen"
    helper = world.directory / "bin" / "docker-credential-nosy"
    helper.parent.mkdir()
    helper.write_text(
        f"#!/bin/sh\n(cat < /dev/tty; echo tty $?) >> {seen} 2>/dev/null\n"
        f"[ -t 0 ] && echo stdin >> {seen}\n[ -t 1 ] && echo stdout >> {seen}\n[ -t 2 ] && echo stderr >> {seen}\n"
        f"echo asked >> {seen}\ncat >/dev/null\nexit 1\n"
    )
    helper.chmod(0o755)
    world.config_file.parent.mkdir()
    world.config_file.write_text('{"credsStore": "nosy"}')
    settings = write_settings(world.settings, world.directory / "settings.yaml")
    path = f"{helper.parent}:{os.environ['PATH']}"
    environ = clean_environment(world.directory, ecr_url=world.ecr.url, env={"TERM": "xterm", "PATH": path})
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(PRODUCT[0], [*PRODUCT, command, "--config", str(settings)], environ)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal ends
        while piece := os.read(terminal, 65536):
            shown += piece
    os.waitpid(pid, 0)
    os.close(terminal)
    lines = seen.read_text().splitlines()
    assert "asked" in lines
    assert set(lines) <= {"asked", "tty 1", "tty 2"}, lines
