"""The worker process as the supervisor sees it: started with a job, read line by line, killed with all it started."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence

from ..core import wire
from .spawn import Early, start

TOTAL_MAX = 16 << 20  # bytes that one pass may report; a pass over 1,000 slots reports 0.5 MB
READ_SIZE = 65536  # what a pipe holds
READS_MAX = 2  # at a time
READS_ALL = TOTAL_MAX // READ_SIZE + 2  # all that a dead worker has left: where pages have 64 KiB, a pipe holds 1 MiB


class Overflow(Exception):
    """The worker said more than any pass has to say."""


class Worker:
    """One child, the leader of its own process group."""

    def __init__(
        self, argv: Sequence[str], environ: Mapping[str, str], job: wire.Job, early: Early | None = None
    ) -> None:
        """Start it, or give the job to one that has been started `early`. Raises OSError."""
        text = wire.dump_job(job)
        if early is not None:
            self.pid, lines = early.pid, early.lines
            try:
                early.give(text)
            except OSError:  # it has died meanwhile
                os.close(lines)
                raise
        else:
            # A memfd, since a job of 1,000 slots is larger than a pipe holds, and writing would wait for the reader.
            job_fd = os.memfd_create("job", os.MFD_CLOEXEC)
            try:
                while text:
                    text = text[os.write(job_fd, text) :]
                os.lseek(job_fd, 0, os.SEEK_SET)
                self.pid, lines = start(argv, environ, job_fd)
            finally:
                os.close(job_fd)
        os.set_blocking(lines, False)
        self.lines = lines
        self._rest = b""
        self._total = 0

    def read(self, reads: int = READS_MAX) -> Iterator[tuple[int, wire.Line]]:
        """Yield the report lines that have arrived: those before an end or garbage count.

        No more than a pipe mostly holds at a time: a worker that never stops must not keep the loop from its turns.
        Raises EOFError at their end, ValueError or Overflow on garbage.
        """
        for _ in range(reads):
            try:
                text = os.read(self.lines, READ_SIZE)
            except BlockingIOError:
                return
            if not text:
                raise EOFError
            self._total += len(text)
            *whole, self._rest = (self._rest + text).split(b"\n")
            for line in whole:
                yield wire.load_line(line)
            if len(self._rest) > wire.LINE_MAX or self._total > TOTAL_MAX:
                raise Overflow

    def kill(self) -> None:
        """End the whole group now: a helper that the worker started must not live on either."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        os.close(self.lines)


def reap() -> list[tuple[int, str]]:
    """Collect all children that have ended, ours and (as PID 1) those left to us; with how each ended."""
    ended: list[tuple[int, str]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, describe(os.waitstatus_to_exitcode(status))))


def describe(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit status {code}"


Spawn = Callable[[wire.Job], Worker]
