"""What the operating system says about a file, as a `Failed` with the path, the reason and the fix."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from ...core.model import Failed, Reason


@contextmanager
def os_errors(path: str) -> Iterator[None]:
    """Raise an OSError inside as Failed for this path: what failed, and how to fix it."""
    try:
        yield
    except OSError as error:
        raise _failed(path, error.errno or 0, error.strerror or type(error).__name__) from None


def _failed(path: str, number: int, text: str) -> Failed:
    what = f"{path}: {text}"
    match number:
        case errno.ENOSPC | errno.EDQUOT:
            return Failed(Reason.TRANSIENT, f"{path} can't be written: {_full(path, number)}", "Free some space")
        case errno.EBUSY | errno.EXDEV:
            return mounted(path)
        case errno.EROFS:
            return Failed(Reason.DENIED, f"{path} can't be written: its file system is read-only", "Mount it writable")
        case errno.EACCES | errno.EPERM:
            fix = "Let that user read and write the file and its directory, or set `owner` to the file's user"
            return Failed(Reason.DENIED, f"{what} (uid {os.geteuid()}, gid {os.getegid()})", fix)
        case errno.ENOTDIR | errno.EISDIR | errno.ELOOP | errno.ENAMETOOLONG:
            return Failed(Reason.INVALID, what, "Give the path of a regular file, or of its directory")
        case errno.ENOENT:
            return Failed(Reason.MISSING, what, "Create its directory")
        case _:
            return Failed(Reason.TRANSIENT, what, "Check the disk or the network file system")


def refuse_irregular(path: str, mode: int) -> None:
    """Raise Failed unless `mode` is that of a regular file."""
    if stat.S_ISDIR(mode):
        fix = "Remove it. Docker creates such a directory where a file to mount was missing"
        raise Failed(Reason.INVALID, f"{path} is a directory", fix)
    if not stat.S_ISREG(mode):
        raise Failed(Reason.INVALID, f"{path} is not a regular file", "Remove it, or name another file")


def mounted(path: str) -> Failed:
    """The failure for a file that is itself a mount point: it can only be written in place, so readers see it torn."""
    what = f"{path} is mounted as a single file, which can't be replaced"
    return Failed(Reason.INVALID, what, "Mount its directory instead of the file")


def _full(path: str, number: int) -> str:
    if number == errno.EDQUOT:
        return "the disk quota is used up"
    try:
        disk = os.statvfs(os.path.dirname(path))
    except OSError:
        return "the disk is full"
    return "the disk has no inodes left" if disk.f_files and not disk.f_favail else "the disk is full"
