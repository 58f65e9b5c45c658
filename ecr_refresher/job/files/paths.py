"""Resolves a file's path link by link, and refuses a path that another user could lead elsewhere."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from ...core.budgets import FILE_MAX, LINKS
from ...core.model import Failed, Reason
from .atomic_file import ACL, Folder, Snapshot
from .errors import os_errors


@dataclass(frozen=True, slots=True)
class Resolved:
    """A path without links. `linked` says whether the file itself was a link."""

    path: str
    linked: bool = False

    @property
    def folder(self) -> str:
        return os.path.dirname(self.path)

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    def beside(self, what: str) -> str:
        """The name of a file of ours in its folder: of the `lock`, say."""
        return f".{self.name}.ecr-refresher.{what}"


def resolve(path: str, *, roots_only: bool = False) -> Resolved:
    """Follow every link of an absolute path; what is missing at its end stays as given. Raises Failed.

    `roots_only` refuses (`denied`) a path on which a user other than root controls a directory, a link or the file.
    """
    with os_errors(path):
        here, above, links, linked = "/", os.lstat("/"), 0, False
        rest = path.split("/")[::-1]
        while rest:
            name = rest.pop()
            if name in ("", "."):
                continue
            if name == "..":
                here = os.path.dirname(here)
                above = os.lstat(here)
                continue
            there = os.path.join(here, name)
            try:
                seen = os.lstat(there)
            except FileNotFoundError:
                return Resolved(os.path.join(there, *reversed(rest)), linked)
            if roots_only:
                refuse_others(path, there, above, seen, leads_on=bool(rest) or stat.S_ISLNK(seen.st_mode))
            if not stat.S_ISLNK(seen.st_mode):
                here, above = there, seen
                continue
            links += 1
            if links > LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            target = os.readlink(there)
            if not rest:
                linked = True
                if seen.st_uid not in (0, os.geteuid()):
                    what = f"{path}: uid {seen.st_uid} made the link {there}"
                    raise Failed(Reason.DENIED, what, "Name the file that it leads to")
            rest += target.split("/")[::-1]
            if target.startswith("/"):
                here, above = "/", os.lstat("/")
        return Resolved(here, linked)


def locate(path: str) -> Resolved:
    """Resolve a path to read and write at; root, who is not bound by permissions, refuses one that others control."""
    return resolve(path, roots_only=os.geteuid() == 0)


@contextmanager
def opened(path: str, resolved: Resolved) -> Iterator[Folder]:
    """Open the directory of the file that `path` leads to. Raises Failed.

    What was missing when root followed the path may be another user's by now, so root follows it again. What is there,
    and only root may change, stays as it is.
    """
    with Folder(resolved.folder) as folder:
        if os.geteuid() == 0:
            again = resolve(path, roots_only=True)
            with os_errors(path):
                same = again == resolved and os.path.samestat(os.lstat(folder.path), os.fstat(folder.fd))
            if not same:
                what = f"{path} led to another directory a moment ago"
                raise Failed(Reason.TRANSIENT, what, "Find the program that moves directories there")
        yield folder


def read(folder: Folder, file: Resolved, most: int = FILE_MAX) -> Snapshot:
    """Read a file in its opened folder as `Folder.read` does; root refuses what another user could have put there."""
    snapshot = folder.read(file.name, most)
    if os.geteuid() == 0 and snapshot.stat is not None:
        refuse_others(file.path, file.path, os.fstat(folder.fd), snapshot.stat, leads_on=False)
    return snapshot


def refuse_others(path: str, there: str, above: os.stat_result, seen: os.stat_result, *, leads_on: bool) -> None:
    """Refuse, for root, what another user owns, or may replace in the directory above it. Raises Failed.

    The file itself may belong to another user where only root could have put it there.
    """
    shared = others_may_write(os.path.dirname(there), above)
    foreign = seen.st_uid != 0 and (leads_on or not stat.S_ISREG(seen.st_mode) or shared)
    replaceable = leads_on and shared and not above.st_mode & stat.S_ISVTX
    if foreign or replaceable:
        who = f"uid {seen.st_uid}" if foreign else "another user"
        what = f"{path}: {who} controls {there}, and could lead root to another file"
        directory = there if stat.S_ISDIR(seen.st_mode) else os.path.dirname(there)
        fix = f'Set owner: "{seen.st_uid or "uid:gid"}" where there is that key, or run as that user'
        fix += f", or let only root write to {directory}: chown root {directory}; chmod go-w {directory}"
        raise Failed(Reason.DENIED, what, fix)


def others_may_write(directory: str, seen: os.stat_result) -> bool:
    """Whether a user other than root may put something into this directory."""
    by_group = seen.st_mode & stat.S_IWGRP and (seen.st_gid != 0 or _has_acl(directory))
    return bool(seen.st_uid != 0 or seen.st_mode & stat.S_IWOTH or by_group)


def _has_acl(directory: str) -> bool:
    """Whether other users than owner and group have rights of their own."""
    with suppress(OSError):
        os.getxattr(directory, ACL)
        return True
    return False
