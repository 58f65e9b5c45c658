"""An exclusive lock between processes and threads: flock on a file of its own, with a bounded wait."""

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ...core import budgets
from ...core.model import Failed, Reason
from .atomic_file import Folder
from .errors import os_errors

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def locked(folder: Folder, name: str) -> Iterator[None]:
    """Hold the lock. Raises Failed, `transient` with the holder's name, after waiting `LOCK_S`."""
    path, ends_at = folder.full(name), time.monotonic() + budgets.LOCK_S
    while True:
        with os_errors(path):
            descriptor = os.open(name, _FLAGS, 0o600, dir_fd=folder.fd)
        try:
            _wait_for(descriptor, path, ends_at)
            there = folder.stat(name)
            if there is not None and os.path.samestat(there, os.fstat(descriptor)):
                yield
                return
        finally:
            os.close(descriptor)  # releases the lock
        # Somebody removed the file during the wait: its lock excludes nobody any more.


def _wait_for(descriptor: int, path: str, ends_at: float) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise Failed(Reason.INVALID, f"{path} is not a regular file", "Remove it")
    while True:
        with os_errors(path), suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() >= ends_at:
            what = f"{path} is locked by {_holder(descriptor)}"
            raise Failed(Reason.TRANSIENT, what, "Wait for the next try, or end that process")
        time.sleep(0.01)


def _holder(descriptor: int) -> str:
    """Name the process that holds the lock, as far as the kernel says (see proc_locks(5)).

    Read as bytes: a child that has become another user may not be able to load the codecs of text files.
    """
    inode = str(os.fstat(descriptor).st_ino).encode()
    with suppress(OSError, ValueError, IndexError), open("/proc/locks", "rb") as table:
        for words in map(bytes.split, table):
            if words[1] == b"FLOCK" and words[5].rpartition(b":")[2] == inode:
                pid = int(words[4])
                with suppress(OSError), open(f"/proc/{pid}/comm", "rb") as comm:
                    return f"process {pid} ({comm.read().strip().decode('utf-8', 'replace')})"
                return f"process {pid}"
    return "another process"
