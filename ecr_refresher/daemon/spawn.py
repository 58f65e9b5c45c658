"""How a worker process is started. Imports next to nothing: the first is started before the daemon has loaded itself.

Both have a tenth of a second of libraries to load, and need not do it one after the other.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# glibc gives threads heaps of their own, up to 16 on two cores, and a worker has a hundred short-lived threads: with
# two, a pass over 1,000 registries peaked at 113 MB instead of 223 (mallopt(3), M_ARENA_MAX; other libcs ignore it).
_FEW_ARENAS = {"MALLOC_ARENA_MAX": "2"}
_NOTIFICATIONS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")  # what children say is not the daemon's word


# What comes while the daemon loads waits for its handlers: process 1 would never hear of it, others would die of it.
HELD_BACK = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


class Early:
    """A worker that was started before its job was known; it waits for that."""

    def __init__(self, pid: int, lines: int, job: int) -> None:
        self.pid, self.lines, self._job = pid, lines, job

    def give(self, job: bytes) -> None:
        """Hand it a job, which must be small: what a pipe holds, since nobody may be reading yet."""
        try:
            os.write(self._job, job)
        finally:
            os.close(self._job)


def start_early(argv: Sequence[str], environ: Mapping[str, str]) -> Early | None:
    """Start a worker that gets its job later; None where none can be started now."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        pid, lines = start(argv, environ, reading)
    except OSError:
        os.close(writing)
        return None
    finally:
        os.close(reading)
    return Early(pid, lines, writing)


def start(argv: Sequence[str], environ: Mapping[str, str], job: int) -> tuple[int, int]:
    """Start a process, the leader of a group of its own, that reads its job from a descriptor.

    Gives its id, and the descriptor of its report lines. Raises OSError.
    """
    lines, child_end = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.posix_spawn(
            argv[0],
            list(argv),
            surroundings(environ),
            file_actions=[(os.POSIX_SPAWN_DUP2, job, 0), (os.POSIX_SPAWN_DUP2, child_end, 1)],
            setpgroup=0,
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
    """The environment for children."""
    return {**_FEW_ARENAS, **{name: value for name, value in environ.items() if name not in _NOTIFICATIONS}}
