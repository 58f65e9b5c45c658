"""Examines the place of a file without writing there: directory, disk, mount, mode, owner."""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct

from .errors import os_errors, refuse_irregular


class Examination(Struct, frozen=True, forbid_unknown_fields=True, tag="examination"):
    """One place. Where the folder is missing, what is said of it is said of the nearest one above."""

    path: str
    folder: str
    folder_is_there: bool
    writable: bool  # the folder, by the user `by`
    by: int
    read_only: bool  # its file system
    full: bool
    mounted: bool  # the file itself is a mount point
    blocked: tuple[str, ...] = ()  # our own files there that this user may not write
    mode: int | None = None  # of the file; None if there is no file
    uid: int | None = None
    gid: int | None = None


def examine(config_file: str, ours: Sequence[str] = ()) -> Examination:
    """Examine the place of a file for the user that we are; `ours` names our other files there. Raises Failed."""
    folder = wanted = os.path.dirname(config_file)
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    seen = None
    with os_errors(config_file):
        disk = os.statvfs(folder)
        with suppress(FileNotFoundError, PermissionError):
            seen = os.stat(config_file)
            refuse_irregular(config_file, seen.st_mode)
    room = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail
    there = filter(os.path.exists, (os.path.join(wanted, name) for name in ours))
    read_only = bool(disk.f_flag & os.ST_RDONLY)
    return Examination(
        path=config_file,
        folder=folder,
        folder_is_there=folder == wanted,
        writable=read_only or os.access(folder, os.W_OK | os.X_OK, effective_ids=True),
        by=os.geteuid(),
        read_only=read_only,
        full=bool(disk.f_blocks and room == 0) or bool(disk.f_files and not disk.f_favail),
        mounted=is_mount(config_file),
        blocked=tuple(os.path.basename(path) for path in there if not os.access(path, os.W_OK, effective_ids=True)),
        mode=None if seen is None else stat.S_IMODE(seen.st_mode),
        uid=None if seen is None else seen.st_uid,
        gid=None if seen is None else seen.st_gid,
    )


def is_mount(path: str) -> bool:
    """Whether the file itself is a mount point (proc_pid_mountinfo(5): fifth word, blanks as octal escapes)."""
    escaped = path.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012")
    with suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        return any(line.split(" ", 5)[4] == escaped for line in mounts)
    return False
