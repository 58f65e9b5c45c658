"""A directory held open: files in it are read whole and replaced whole, never written in place.

Everything goes by the directory's descriptor, so renaming a directory on the path meanwhile leads no write elsewhere.
The last component is never followed as a link.
"""

import contextlib
import errno
import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ...core.budgets import FILE_MAX
from ...core.model import Failed, Reason, witness_of
from .errors import os_errors, refuse_irregular

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # non-blocking: a FIFO must not hang us
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_MODE = 0o600
_GROUPS_BITS, _OTHERS_BITS = 0o070, 0o007
ACL = "system.posix_acl_access"  # rights of single users and groups; the mode's group bits then bound them (acl(5))
_ACL_ENTRY = struct.Struct("<HHI")  # tag, rights and id; the entries follow four bytes of version
_ACL_OWNING_GROUP = 4


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A file's bytes and the stat of the very file they were read from; None and None if there is no file."""

    content: bytes | None = field(default=None, repr=False)
    stat: os.stat_result | None = None

    @property
    def witness(self) -> str:
        return witness_of(self.stat)

    @property
    def uid(self) -> int:
        """The file's user; root's where there is no file."""
        return 0 if self.stat is None else self.stat.st_uid

    def is_still(self, seen: os.stat_result | None) -> bool:
        """Whether nobody has written since, by the stat that the file has now."""
        return witness_of(seen) == self.witness


@dataclass(frozen=True, slots=True)
class Ownership:
    """The mode, user and group that a file must have. None keeps what an existing file has, as far as we may.

    Without a mode, its ACL is kept too.
    """

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None

    def holds(self, seen: os.stat_result) -> bool:
        """Whether a file has them already."""
        return (
            self.mode in (None, stat.S_IMODE(seen.st_mode))
            and self.uid in (None, seen.st_uid)
            and self.gid in (None, seen.st_gid)
        )


class Folder(contextlib.AbstractContextManager["Folder"]):
    """One directory. Raises Failed for whatever the operating system refuses."""

    def __init__(self, path: str) -> None:
        self.path = path
        with os_errors(path):
            self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def full(self, name: str) -> str:
        return os.path.join(self.path, name)

    def read(self, name: str, most: int = FILE_MAX) -> Snapshot:
        """Return the file's content. Raises Failed if it is not a regular file, has more bytes, or may not be read."""
        path = self.full(name)
        with os_errors(path):
            try:
                descriptor = os.open(name, _READ, dir_fd=self.fd)
            except FileNotFoundError:
                return Snapshot()
            try:
                seen = os.fstat(descriptor)
                refuse_irregular(path, seen.st_mode)
                with open(descriptor, "rb", closefd=False) as file:
                    content = file.read(most + 1)
            finally:
                os.close(descriptor)
        if len(content) > most:
            raise Failed(Reason.INVALID, f"{path} is larger than {most >> 10} KiB", "Remove what does not belong there")
        return Snapshot(content, seen)

    def stat(self, name: str) -> os.stat_result | None:
        """The file's stat now; None if there is no file."""
        with os_errors(self.full(name)), contextlib.suppress(FileNotFoundError):
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        return None

    def replace(
        self,
        name: str,
        content: bytes,
        owner: Ownership,
        still: Callable[[os.stat_result | None], bool] = lambda _seen: True,
    ) -> os.stat_result | None:
        """Replace `name` by a new file: whole, on the disk, and owned as wanted. On failure the old one stays.

        Call this under a lock: the temporary file has a fixed name, so that the next run replaces a killed run's.
        `still` is asked about the old file's stat before anything is taken from it, and again right before the rename;
        if it says no, nothing changes and None is returned.
        """
        temporary = f".{name.removeprefix('.')}.ecr-refresher.tmp"
        with os_errors(self.full(name)):
            self._remove(temporary)
            old = self.stat(name)
            if not still(old):
                return None
            above = os.fstat(self.fd)
            if old and above.st_mode & stat.S_ISVTX and os.geteuid() not in (0, old.st_uid, above.st_uid):
                # The rename in this sticky directory would fail; until then, who may read that file could read ours.
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
            acl = None if owner.mode is not None or old is None else self._acl(name)
            descriptor = os.open(temporary, _CREATE, NEW_MODE, dir_fd=self.fd)
            try:
                _fill(descriptor, content, owner, old, acl)
                os.fsync(descriptor)
                if not still(self.stat(name)):
                    self._remove(temporary)
                    return None
                os.rename(temporary, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
                written = os.fstat(descriptor)
            except BaseException:
                with contextlib.suppress(OSError):
                    self._remove(temporary)
                raise
            finally:
                os.close(descriptor)
            try:
                os.fsync(self.fd)
            except OSError as error:
                if error.errno != errno.EINVAL:  # some file systems know no fsync of directories
                    raise
        return written

    def _acl(self, name: str) -> bytes | None:
        """The file's ACL; None where it or its file system has none."""
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(name, _READ, dir_fd=self.fd)
            try:
                with contextlib.suppress(OSError):
                    return os.getxattr(descriptor, ACL)
            finally:
                os.close(descriptor)
        return None

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)


def _fill(descriptor: int, content: bytes, owner: Ownership, old: os.stat_result | None, acl: bytes | None) -> None:
    """Write the content, and give the file its user, group, and mode or ACL."""
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    new, uid, gid, mode = os.fstat(descriptor), owner.uid, owner.gid, owner.mode
    if mode is None:
        mode = NEW_MODE if old is None else stat.S_IMODE(old.st_mode) & 0o777
    if uid is None and old is not None and os.geteuid() == 0:
        uid = old.st_uid
    if uid not in (None, new.st_uid):
        os.fchown(descriptor, uid, -1)
    as_others = mode & (~_GROUPS_BITS | (mode & _OTHERS_BITS) << 3)
    if gid is None and old is not None:
        try:
            _give_to_group(descriptor, old.st_gid)
        except PermissionError:  # not a group of ours: then the group in its place may do what everybody may
            mode, acl = as_others, acl and _with_group_as_others(acl, mode)
    elif gid is not None:
        _give_to_group(descriptor, gid)
    if owner.mode is None and old is not None:
        with contextlib.suppress(OSError):  # what the directory gives to each new file
            os.removexattr(descriptor, ACL)
    if acl is not None:
        try:
            os.setxattr(descriptor, ACL, acl)  # sets the mode too
        except OSError:  # it names users whom our user namespace does not know, say
            mode = as_others
        else:
            return
    os.fchmod(descriptor, mode)


def _with_group_as_others(acl: bytes, mode: int) -> bytes:
    entries = [
        _ACL_ENTRY.pack(tag, rights & mode & _OTHERS_BITS if tag == _ACL_OWNING_GROUP else rights, number)
        for tag, rights, number in _ACL_ENTRY.iter_unpack(acl[4:])
    ]
    return acl[:4] + b"".join(entries)


def _give_to_group(descriptor: int, gid: int) -> None:
    if gid == os.fstat(descriptor).st_gid:
        return
    try:
        os.fchown(descriptor, -1, gid)
    except PermissionError:
        own = os.getegid()
        os.setegid(gid)  # allowed in the owner's child only, which has this group set aside for this
        try:
            os.fchown(descriptor, -1, gid)
        finally:
            os.setegid(own)


def make_directories(path: str) -> None:
    """Make a directory and those above it that are missing, with mode 0700."""
    with os_errors(path):
        for folder in (*reversed(Path(path).parents), Path(path)):
            if not folder.is_dir():
                with contextlib.suppress(FileExistsError):
                    folder.mkdir(0o700)
