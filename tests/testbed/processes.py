"""Processes that the tests start: each leads its own group, and is on record until it has gone.

The record lets the next run end what a killed run has left behind: by process id and start time, never by name.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.testbed import parts

RUNS = parts.TESTBED / "runs"


class NotInTime(AssertionError):
    """Something awaited did not come; the text says what."""


def wait_until(condition: Callable[[], object], within: float, what: str, every: float = 0.05) -> None:
    """Return once `condition()` is true; raise NotInTime after `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise NotInTime(f"{what}: not within {within:g} s")
        time.sleep(every)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


def on_a_terminal(command: Sequence[str], env: Mapping[str, str], columns: int = 80) -> str:
    """Run a command on a terminal; returns everything that it wrote there."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # a terminal's end
            while piece := os.read(ours, 65536):
                shown += piece
        assert process.wait(60) == 0, shown.decode()
    os.close(ours)
    return shown.decode()


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot: with the id it names one process. None: gone or a zombie."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if after_name[0] in "ZX" else int(after_name[19])


class Record:
    """What this run has running and lying about: a small file, replaced whole at every change."""

    def __init__(self, directory: Path = RUNS) -> None:
        self._path = directory / f"{os.getpid()}.json"
        self._processes: dict[int, int] = {}
        self._directories: list[str] = []

    def process(self, pid: int) -> None:
        self._processes[pid] = start_ticks(pid) or 0
        self._write()

    def gone(self, pid: int) -> None:
        self._processes.pop(pid, None)
        self._write()

    def directory(self, path: Path) -> None:
        """Record a scratch directory."""
        self._directories.append(str(path))
        self._write()

    def directory_gone(self, path: Path) -> None:
        self._directories.remove(str(path))
        self._write()

    def _write(self) -> None:
        if not self._processes and not self._directories:
            self._path.unlink(missing_ok=True)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(
            json.dumps(
                {
                    "run": [os.getpid(), start_ticks(os.getpid())],
                    "processes": sorted(self._processes.items()),
                    "directories": self._directories,
                }
            )
        )
        new.replace(self._path)


def end_leftovers(directory: Path = RUNS) -> list[str]:
    """End and remove what runs that are no longer there left on record; say what it was."""
    if not directory.exists():
        return []
    ended: list[str] = []
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for record in sorted(directory.glob("*.json")):
            with contextlib.suppress(OSError, ValueError, KeyError):
                left = json.loads(record.read_text())
                run_pid, run_ticks = left["run"]
                if start_ticks(run_pid) == run_ticks:
                    continue  # that run is alive
                for pid, ticks in left["processes"]:
                    if ticks and start_ticks(pid) == ticks:
                        end_group(pid)
                        ended.append(f"process {pid}")
                for path in left["directories"]:
                    remove_tree(Path(path))
                    ended.append(f"directory {path}")
            record.unlink(missing_ok=True)
    return ended


def end_group(pid: int, within: float = 15) -> None:
    """TERM, then KILL, to the group that `pid` leads; works for processes that are not our children too."""
    for sent, patience in ((signal.SIGTERM, within), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, sent)
            os.killpg(pid, signal.SIGCONT)
        with contextlib.suppress(NotInTime):
            wait_until(lambda: start_ticks(pid) is None, patience, f"end of process {pid}")
            break
    # What the leader has left behind in its group.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def remove_tree(path: Path) -> None:
    """Remove a scratch directory, unmounting first what a killed engine has left mounted in it."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{path}/")), reverse=True):
        subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
    shutil.rmtree(path, ignore_errors=True)


class Process:
    """A server of the tests: started, watched, frozen and ended by its process group."""

    def __init__(self, record: Record, name: str) -> None:
        self.name = name
        self._record = record
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._child is not None, f"{self.name} is not running"
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self, command: Sequence[str | Path], log: Path, env: Mapping[str, str], cwd: Path | None = None) -> None:
        assert not self.running, f"{self.name} runs already"
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        self._record.process(self._child.pid)

    def send(self, number: signal.Signals) -> None:
        os.killpg(self.pid, number)

    def stop(self) -> None:
        """End the group: TERM, then KILL. Harmless when it is not running."""
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
            os.killpg(child.pid, signal.SIGCONT)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait(10)
            self._record.gone(child.pid)

    def kill(self) -> None:
        """End it as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            self.send(signal.SIGKILL)
        self.stop()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """SIGSTOP for the time of the block: connections are taken by the kernel, and nobody answers."""
        self.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send(signal.SIGCONT)
