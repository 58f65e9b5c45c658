"""A directory held open: files in it are read whole and replaced whole, never written in place.

All goes by the directory's descriptor, so that nobody who may rename directories on the way can lead a write
elsewhere, and the last component is never followed as a link.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from ...core.model import Failed, Reason, witness_of
from .errors import told

FILE_MAX = 16 * 1024 * 1024
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # non-blocking: a FIFO must not hang us
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A file's bytes and the stat of the very file they were read from; None and None where there is none."""

    content: bytes | None = field(default=None, repr=False)
    stat: os.stat_result | None = None

    @property
    def witness(self) -> str:
        return witness_of(self.stat)


@dataclass(frozen=True, slots=True)
class Ownership:
    """How a file is to be owned; None leaves it as it was, or as it comes."""

    mode: int
    uid: int | None = None
    gid: int | None = None

    def holds(self, seen: os.stat_result) -> bool:
        """Whether a file is owned like this already."""
        return (
            stat.S_IMODE(seen.st_mode) == self.mode
            and self.uid in (None, seen.st_uid)
            and self.gid in (None, seen.st_gid)
        )


class Folder:
    """One directory. Raises Failed for all that the operating system refuses."""

    def __init__(self, path: str) -> None:
        self.path = path
        with told(path):
            self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self.fd)

    def full(self, name: str) -> str:
        return os.path.join(self.path, name)

    def read(self, name: str) -> Snapshot:
        """Give the file's content; raises Failed where it is no plain file, too big, or may not be read."""
        path = self.full(name)
        with told(path):
            try:
                descriptor = os.open(name, _READ, dir_fd=self.fd)
            except FileNotFoundError:
                return Snapshot()
            try:
                seen = os.fstat(descriptor)
                if not stat.S_ISREG(seen.st_mode):
                    what = "a directory" if stat.S_ISDIR(seen.st_mode) else "no plain file"
                    raise Failed(Reason.INVALID, f"{path} is {what}; remove it, or name another file")
                with open(descriptor, "rb", closefd=False) as file:
                    content = file.read(FILE_MAX + 1)
            finally:
                os.close(descriptor)
        if len(content) > FILE_MAX:
            raise Failed(Reason.INVALID, f"{path} is bigger than {FILE_MAX >> 20} MB; it can't be what it should be")
        return Snapshot(content, seen)

    def stat(self, name: str) -> os.stat_result | None:
        """The file's stat at this moment; None where there is none."""
        with told(self.full(name)):
            try:
                return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
            except FileNotFoundError:
                return None

    def witness(self, name: str) -> str:
        """The file's witness at this moment."""
        return witness_of(self.stat(name))

    def replace(
        self,
        name: str,
        content: bytes,
        owner: Ownership,
        still: Callable[[], bool] = lambda: True,
        *,
        hurried: bool = False,
    ) -> os.stat_result | None:
        """Put a new file in the place of `name`: whole, on the disk, and owned as wanted; or leave all as it was.

        The temporary file has a fixed name, so that a killed run's leftover is found: call this under a lock.
        `still` is asked at the last moment; None is returned if it says no. `hurried` has the content go to the disk
        only after that moment, which then comes milliseconds sooner.
        """
        temporary = f".{name.removeprefix('.')}.ecr-refresher.tmp"
        with told(self.full(name)):
            self._remove(temporary)
            descriptor = os.open(temporary, _CREATE, 0o600, dir_fd=self.fd)
            try:
                _fill(descriptor, content, owner)
                if not hurried:
                    os.fsync(descriptor)
                if not still():
                    self._remove(temporary)
                    return None
                os.rename(temporary, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
                os.fsync(descriptor)
                written = os.fstat(descriptor)
            except BaseException:
                with contextlib.suppress(OSError):
                    self._remove(temporary)
                raise
            finally:
                os.close(descriptor)
            self._sync()
        return written

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)

    def _sync(self) -> None:
        try:
            os.fsync(self.fd)
        except OSError as error:
            if error.errno != errno.EINVAL:  # some file systems know no fsync of directories
                raise


def _fill(descriptor: int, content: bytes, owner: Ownership) -> None:
    born = os.fstat(descriptor)
    if (owner.uid, owner.gid) not in ((None, None), (born.st_uid, born.st_gid)):
        os.fchown(descriptor, -1 if owner.uid is None else owner.uid, -1 if owner.gid is None else owner.gid)
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fchmod(descriptor, owner.mode)


def make_directories(path: str) -> None:
    """Make a directory and those above it that are missing, each for its owner alone."""
    with told(path):
        missing = []
        while not os.path.isdir(path):
            missing.append(path)
            above = os.path.dirname(path)
            if above == path:
                break
            path = above
        for path in reversed(missing):
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)
