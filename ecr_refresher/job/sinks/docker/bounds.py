"""Bounds a child of child.py and the helpers that it starts: memory, processes, and files that outlive them."""

import contextlib
import os
import resource
import signal
import threading
from typing import Any

from .... import memory
from ....core.budgets import PROCESSES, PROCESSES_MAX

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_NEW_MOUNTS, _NEW_IPC = 0x00020000, 0x08000000  # CLONE_NEWNS, CLONE_NEWIPC of unshare(2)
_READ_ONLY, _REMOUNT, _BIND, _ALL_BELOW, _SLAVE = 1, 32, 4096, 16384, 1 << 19  # MS_* of mount(2)
_KEPT = os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC | os.ST_NOATIME | os.ST_NODIRATIME  # the same bits as MS_*


def limit_memory(most: int) -> None:
    """Bound memory, and be the first to go where the host's or container's memory runs out."""
    most = memory.within(most)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    memory.be_first_to_go()


def limit_processes() -> None:
    """Let this user start `PROCESSES` more, or up to twice as many.

    The kernel counts what runs as the user anywhere, in other containers too, and does not say how many those are. So
    this raises the limit until one more can be started.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    most = PROCESSES_MAX if hard == resource.RLIM_INFINITY else min(hard, PROCESSES_MAX)
    for running in range(PROCESSES, most - PROCESSES, PROCESSES):
        resource.setrlimit(resource.RLIMIT_NPROC, (running, hard))
        with contextlib.suppress(RuntimeError):
            threading.Thread(target=int).start()
            resource.setrlimit(resource.RLIMIT_NPROC, (running + PROCESSES, running + PROCESSES))
            return
    resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))


def shrink_file_systems_in_memory(kept: str) -> None:
    """Leave nothing in memory that outlives the child: such files and segments count for our control group.

    Every file system in memory becomes read-only here, but for the one that holds the file `kept`; one that everybody
    may write, /dev/shm say, is a small one of our own. Without CAP_SYS_ADMIN all stays as it is.
    """
    libc = _libc()
    if libc.unshare(_NEW_MOUNTS | _NEW_IPC) or libc.mount(None, b"/", None, _SLAVE | _ALL_BELOW, None):
        return
    with open("/proc/self/mounts", "rb") as table:
        mounts = {os.fsdecode(point): kind for _, point, kind, *_ in map(bytes.split, table)}
    above = [point for point in mounts if os.path.commonpath((point, kept)) == point]
    for point, kind in mounts.items():
        if kind not in (b"tmpfs", b"ramfs") or point == max(above, key=len, default="/"):
            continue
        with contextlib.suppress(OSError):  # below one that is covered by now
            if os.stat(point).st_mode & 0o002 and point not in above:
                flags, options = os.ST_NOSUID | os.ST_NODEV, b"size=1m,nr_inodes=1k,mode=1777"
            else:
                flags, options = _REMOUNT | _BIND | _READ_ONLY | os.statvfs(point).f_flag & _KEPT, None
            libc.mount(b"tmpfs", os.fsencode(point), b"tmpfs", flags, options)


def go_on_without_parent() -> None:
    """Have the kernel wake this process when its parent ends, so that one that its user has stopped can end as well.

    Call it as that user. Killed by the kernel, it could not end what its helpers have left behind.
    """
    _libc().prctl(_DEATH_SIGNAL, signal.SIGCONT, 0, 0, 0)


def _libc() -> Any:
    import ctypes  # in the child only

    return ctypes.CDLL(None)
