"""A worker process: started with a job, read line by line, killed with every process that it started."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO, cast

from .. import memory
from ..core import wire
from ..core.exits import EXIT_MEMORY

TOTAL_MAX = 16 << 20  # bytes that one worker may report
READ_SIZE = 65536  # what a pipe usually holds
READS_MAX = 8  # at a time, so that a worker that never stops does not keep the loop from its turns
READS_ALL = TOTAL_MAX // READ_SIZE + 2  # everything that a dead worker has left
_NOTIFICATIONS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")  # only the daemon itself speaks to systemd


class Worker:
    """One process. It leads a session of its own, so it has no terminal and its group can be killed as one."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], job: wire.Job) -> None:
        """Start the process; its standard input is the job. Raises OSError."""
        self.fault: str | None = None  # why its report is not valid
        self.ended = False  # nothing more can be read: the report has ended, or is not valid
        self._killed = False
        self._kills_before = memory.read().kills
        self._rest = b""
        self._total = 0
        # A memfd, since a job may be larger than a pipe, and writing to that would wait for the reader.
        with open(os.memfd_create("job", os.MFD_CLOEXEC), "w+b") as file:
            file.write(wire.dump_job(job))
            file.seek(0)
            self._process = subprocess.Popen(  # noqa: S603 - cli says what to start
                argv, stdin=file, stdout=subprocess.PIPE, env=surroundings(environ), start_new_session=True, bufsize=0
            )
        self._report = cast("IO[bytes]", self._process.stdout)
        self.pid, self.lines = self._process.pid, self._report.fileno()
        os.set_blocking(self.lines, False)

    def read(self, reads: int = READS_MAX) -> list[tuple[int, wire.Line]]:
        """Return the report lines that have arrived, each with the id of its job. Never waits and never raises."""
        found: list[tuple[int, wire.Line]] = []
        with contextlib.suppress(BlockingIOError):
            for _ in range(reads):
                if self.ended:
                    break
                text = os.read(self.lines, READ_SIZE)
                self.ended = not text
                self._total += len(text)
                *whole, self._rest = (self._rest + text).split(b"\n")
                try:
                    for line in whole:
                        found.append(wire.load_line(line))  # noqa: PERF401 - lines before a garbled one count
                except ValueError as error:  # it quotes nothing of the text
                    self._spoil(str(error))
                if len(self._rest) > wire.LINE_MAX or self._total > TOTAL_MAX:
                    self._spoil(f"more than {wire.LINE_MAX} bytes in a line or {TOTAL_MAX} in all")
        return found

    def _spoil(self, fault: str) -> None:
        self.fault, self.ended, self._rest = self.fault or fault, True, b""

    def kill(self) -> None:
        """Kill the whole group: the worker and whatever it has started."""
        self._killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        self._report.close()
        self._process.returncode = 0  # `reap` collects it

    def ending(self, code: int) -> tuple[str, str]:
        """How the process ended, fit for a message, and the fix where there is one. `code` is negative for a signal."""
        if code == EXIT_MEMORY:
            return "the worker reached its own memory limit", memory.MORE
        if code != -signal.SIGKILL or self._killed:
            return f"killed by signal {-code}" if code < 0 else f"exit status {code}", ""
        how = "killed by signal 9, which ecr-refresher did not send"
        fix = "Look for 'Out of memory' in the kernel's log, and give the host more memory"
        return memory.killed_since(self._kills_before) or (how, fix)


def surroundings(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of workers."""
    kept = {name: value for name, value in environ.items() if name not in _NOTIFICATIONS}
    # glibc gives threads heaps of their own, 8 for each core. Two halve the memory of a pass with many threads.
    return {"MALLOC_ARENA_MAX": "2", **kept}


def reap() -> list[tuple[int, int]]:
    """Collect every child that has ended, as process 1 foreign ones too: ids and exit codes, negative for a signal."""
    ended: list[tuple[int, int]] = []
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended.append((found[0], os.waitstatus_to_exitcode(found[1])))
    return ended
