"""What the operating system says about a file, as a `Failed` that names the path and the mend."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ...core.model import Failed, Reason

FULL = {errno.ENOSPC, errno.EDQUOT}
MOUNTED = {errno.EBUSY, errno.EXDEV}


@contextmanager
def told(path: str) -> Iterator[None]:
    """Raise what goes wrong with `path` inside as Failed; the original error is not attached."""
    try:
        yield
    except OSError as error:
        number, text = error.errno or 0, error.strerror or type(error).__name__
    else:
        return
    raise failed(path, number, text)


def failed(path: str, number: int, text: str) -> Failed:
    """Tell what happened, to what, and what to do."""
    if number in FULL:
        return Failed(Reason.TRANSIENT, f"{path} can't be written: {_full(path, number)}")
    if number in MOUNTED:
        return mounted(path)
    if number == errno.EROFS:
        return Failed(Reason.DENIED, f"{path} can't be written: its file system is read-only; mount it writable")
    if number in (errno.EACCES, errno.EPERM):
        whose = f"uid {os.geteuid()}, gid {os.getegid()}"
        mend = "grant it on the file and its directory, or set `owner`"
        return Failed(Reason.DENIED, f"{path}: {text} ({whose}); {mend}")
    if number in (errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG):
        return Failed(Reason.INVALID, f"{path}: {text}; give the path of a plain file, or of its directory")
    if number == errno.ENOENT:
        return Failed(Reason.MISSING, f"{path}: {text}; create its directory")
    return Failed(Reason.TRANSIENT, f"{path}: {text}")


def mounted(path: str) -> Failed:
    """A file that is itself a mount point can be written in place only, and would be read torn."""
    return Failed(
        Reason.INVALID,
        f"{path} is mounted as a single file, which can't be replaced; mount its directory instead of the file",
    )


def _full(path: str, number: int) -> str:
    if number == errno.EDQUOT:
        return "the disk quota is used up; free some space or raise the quota"
    try:
        disk = os.statvfs(os.path.dirname(path))
    except OSError:
        return "the disk is full; free some space"
    if disk.f_files and not disk.f_favail:
        return "the disk has no inodes left; remove some files"
    return "the disk is full; free some space"
