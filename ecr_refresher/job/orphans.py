"""Ends what other programs leave behind: a daemon with a session of its own is in no group of ours."""

import contextlib
import os
import signal
import time

END_S = 1.0
UNABLE = (ImportError, MemoryError)  # no ctypes, or an old libffi under systemd's MemoryDenyWriteExecute
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)


def adopt() -> None:
    """Become the parent of whatever a child leaves behind. Raises one of `UNABLE`.

    A child that becomes another user does that itself: that user may kill it only afterwards.
    """
    import ctypes  # a listener, which lives long, does without

    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def end_all() -> None:
    """Kill all children, and theirs, who become ours as their parents end; give up after `END_S`."""
    ends_at = time.monotonic() + END_S
    while (left := _children()) and time.monotonic() < ends_at:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        time.sleep(0.001)


def _children() -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):  # a kernel without CONFIG_PROC_CHILDREN
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/children", "rb") as pids:
                found += map(int, pids.read().split())
    return found
