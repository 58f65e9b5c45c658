"""A worker process: started with a job, read line by line, killed with every process that it started."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

from .. import memory
from ..core import wire
from ..core.exits import EXIT_MEMORY

TOTAL_MAX = 16 << 20  # bytes that one worker may report
READ_SIZE = 65536  # what a pipe usually holds
READS_MAX = 8  # at a time, so that a worker that never stops does not keep the loop from its turns
READS_ALL = TOTAL_MAX // READ_SIZE + 2  # everything that a dead worker has left
# glibc gives threads heaps of their own, 8 for each core. Two halve the memory of a pass with many threads.
_FEW_ARENAS = {"MALLOC_ARENA_MAX": "2"}
_MORE = "Raise the memory limit of the container or service"
_NOTIFICATIONS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")  # only the daemon itself speaks to systemd


class Worker:
    """One process. It leads a session of its own, so it has no terminal and its group can be killed as one."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], job: wire.Job) -> None:
        """Start the process; its standard input is the job. Raises OSError."""
        self.fault: str | None = None  # why its report makes no sense
        self.ended = False  # nothing more can be read: the report has ended, or makes no sense
        self._killed = False
        self._kills_before = memory.read().kills
        self._rest = b""
        self._total = 0
        self.pid, self.lines = _start(argv, environ, wire.dump_job(job))

    def read(self, reads: int = READS_MAX) -> list[tuple[int, wire.Line]]:
        """Return the report lines that have arrived, each with the id of its job. Never waits and never raises."""
        found: list[tuple[int, wire.Line]] = []
        for _ in range(reads):
            if self.ended:
                break
            try:
                text = os.read(self.lines, READ_SIZE)
            except BlockingIOError:
                break
            self.ended = not text
            self._total += len(text)
            *whole, self._rest = (self._rest + text).split(b"\n")
            self._decode(whole, found)
            if not self.fault and (len(self._rest) > wire.LINE_MAX or self._total > TOTAL_MAX):
                self._spoil(f"more than {wire.LINE_MAX} bytes in a line or {TOTAL_MAX} in all")
        return found

    def _decode(self, texts: Sequence[bytes], found: list[tuple[int, wire.Line]]) -> None:
        for text in texts:
            try:
                found.append(wire.load_line(text))
            except ValueError as error:  # it quotes nothing of the text
                self._spoil(str(error))
                return

    def _spoil(self, fault: str) -> None:
        self.fault, self.ended, self._rest = fault, True, b""

    def kill(self) -> None:
        """Kill the whole group: the worker and whatever it has started."""
        self._killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        os.close(self.lines)

    def ending(self, code: int) -> tuple[str, str]:
        """How the process ended, fit for a message, and the fix where there is one. `code` is negative for a signal."""
        if code == EXIT_MEMORY:
            return "the worker reached its own memory limit", _MORE
        if code != -signal.SIGKILL or self._killed:
            return describe(code), ""
        now = memory.read()
        if now.kills is not None and self._kills_before is not None and now.kills > self._kills_before:
            figure = "" if now.limit is None else f" of {now.limit / (1 << 20):.0f} MiB"
            return (
                f"killed by the kernel at the memory limit{figure}",
                "Raise the memory limit of the container or service",
            )
        how = "killed by signal 9, which ecr-refresher did not send"
        return how, "Look for 'Out of memory' in the kernel's log, and give the host more memory"


def _start(argv: Sequence[str], environ: Mapping[str, str], job: bytes) -> tuple[int, int]:
    """Start a process with the job as its standard input: its id, and the descriptor of its standard output."""
    # A memfd, since a job may be larger than a pipe, and writing to that would wait for the reader.
    with open(os.memfd_create("job", os.MFD_CLOEXEC), "w+b") as file:
        file.write(job)
        file.seek(0)
        lines, child_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(child_end, True)
        try:
            pid = os.posix_spawn(
                argv[0],
                list(argv),
                surroundings(environ),
                file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), 0), (os.POSIX_SPAWN_DUP2, child_end, 1)],
                setsid=True,
                setsigmask=(),
                setsigdef=(signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1),
            )
        except BaseException:
            os.close(lines)
            raise
        finally:
            os.close(child_end)
    return pid, lines


def surroundings(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of workers."""
    return {**_FEW_ARENAS, **{name: value for name, value in environ.items() if name not in _NOTIFICATIONS}}


def reap() -> list[tuple[int, int]]:
    """Collect every child that has ended, as process 1 foreign ones too: ids and exit codes, negative for a signal."""
    ended: list[tuple[int, int]] = []
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended.append((found[0], os.waitstatus_to_exitcode(found[1])))
    return ended


def describe(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit status {code}"
