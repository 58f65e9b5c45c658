"""An exclusive lock between processes and threads: flock on a file of its own, with a bounded wait."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ...core.model import Failed, Reason
from .atomic_file import Folder
from .errors import told

WAIT_S = 5.0
_POLL_S = 0.01
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def locked(folder: Folder, name: str) -> Iterator[None]:
    """Hold the lock; raises Failed, `transient` and naming the holder, if it can't be had within `WAIT_S`."""
    descriptor = _acquire(folder, name, time.monotonic() + WAIT_S)
    try:
        yield
    finally:
        os.close(descriptor)  # gives the lock back


def _acquire(folder: Folder, name: str, ends_at: float) -> int:
    path = folder.full(name)
    while True:
        with told(path):
            descriptor = os.open(name, _FLAGS, 0o600, dir_fd=folder.fd)
        try:
            _wait_for(descriptor, path, ends_at)
            if _is_still(folder, name, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # somebody removed the file while we waited: its lock excludes nobody any more


def _wait_for(descriptor: int, path: str, ends_at: float) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise Failed(Reason.INVALID, f"{path} is no plain file; remove it")
    while True:
        with told(path):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                return
        if time.monotonic() >= ends_at:
            holder = _holder(descriptor)
            raise Failed(Reason.TRANSIENT, f"{path} is locked by {holder}; tried again, or end that process")
        time.sleep(_POLL_S)


def _is_still(folder: Folder, name: str, descriptor: int) -> bool:
    try:
        there = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
    except OSError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))


def _holder(descriptor: int) -> str:
    """Name the process that holds the lock, as far as the kernel tells (see proc_locks(5))."""
    inode = str(os.fstat(descriptor).st_ino)
    with suppress(OSError, ValueError, IndexError), open("/proc/locks", encoding="ascii", errors="replace") as table:
        for line in table:
            words = line.split()
            if words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode:
                return f"process {words[4]}{_command(words[4])}"
    return "another process"


def _command(pid: str) -> str:
    with suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
        return f" ({comm.read().strip()})"
    return ""
