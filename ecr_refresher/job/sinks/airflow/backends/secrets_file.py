"""Connections in a file that Airflow's LocalFilesystemBackend reads at each lookup: replaced whole, never torn."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any

from ..... import logs
from .....core.model import Credential, Failed, Holding, Outcome, Reason, witness_of
from .....core.plan import Connection, SecretsFile
from ....files import examination as file_examination
from ....files.atomic_file import Folder, Ownership, Snapshot, make_directories
from ....files.examination import Examination
from ....files.lock import locked
from ....files.paths import Resolved, opened, refuse_others, resolve
from .. import entry
from ..entry import Shape
from . import file_format
from .unreadable import Unreadable

ROUNDS = 5  # how often somebody else may write in the moment of our write
NEW_MODE = 0o600


class SecretsFileSink:
    """One file; thread-safe, and safe beside other daemons. Other entries stay as they are."""

    def __init__(self, file: SecretsFile) -> None:
        self._path = os.path.abspath(file.path)
        self._mode = file.mode

    def look(self, connection: Connection, host: str) -> Holding:
        """Say until when the file holds a login for this registry, as its marker records it. Raises Failed."""
        return self._holding(connection, host, self._entry(self._read(), connection))

    def deliver(
        self, connection: Connection, host: str, credential: Credential, *, still_wanted: Callable[[Holding], bool]
    ) -> Outcome:
        """Write the credential: `written`; or `skipped` where the file holds something good by now. Raises Failed."""
        place = self._place()
        if not os.path.isdir(os.path.dirname(place.path)):
            make_directories(os.path.dirname(place.path))
            place = self._place()
        name = os.path.basename(place.path)
        with opened(self._path, place) as folder, locked(folder, f".{name}.ecr-refresher.lock"):
            for _ in range(ROUNDS):
                snapshot = self._read_in(folder, name)
                kept = self._entry(snapshot, connection)
                if not still_wanted(self._holding(connection, host, kept)):
                    return Outcome.SKIPPED
                with self._named():
                    text = file_format.replaced(
                        _text(snapshot), self._path, connection.id, entry.renewed(kept, host, credential)
                    )
                if self._put(folder, name, snapshot, text):
                    return Outcome.WRITTEN
        message = f"{self._path} is written by somebody else all the time"
        raise Failed(Reason.TRANSIENT, message, "Find out which program writes it, and stop that")

    def inspect(self, connection: Connection, host: str) -> Shape | None:
        """Say what the connection is like; None if it is not there. Raises Failed."""
        kept = self._entry(self._read(), connection)
        return None if kept is None else entry.shape({"password": "", **kept}, host)

    def _place(self) -> Resolved:
        """Follow the links. Root, who is not bound by permissions, refuses a path that others control."""
        return resolve(self._path, roots_only=os.geteuid() == 0)

    def _read(self) -> Snapshot:
        place = self._place()
        if not os.path.isdir(os.path.dirname(place.path)):
            return Snapshot()
        with opened(self._path, place) as folder:
            return self._read_in(folder, os.path.basename(place.path))

    def _read_in(self, folder: Folder, name: str) -> Snapshot:
        above, path = os.fstat(folder.fd), folder.full(name)

        def check(seen: os.stat_result) -> None:
            if os.geteuid() == 0:
                refuse_others(self._path, path, above, seen, leads_on=False)

        return folder.read(name, check=check)

    def examine(self) -> Examination:
        """Examine the file's place. Raises Failed."""
        return file_examination.examine(self._place().path)

    def _put(self, folder: Folder, name: str, seen: Snapshot, text: str) -> bool:
        """Replace the file, unless somebody who knows no lock of ours has written since."""
        same = folder.replace(
            name,
            text.encode(),
            self._ownership(seen.stat),
            lambda old: witness_of(old) == seen.witness,
        )
        return same is not None and stat.S_ISREG(same.st_mode)

    def _ownership(self, seen: os.stat_result | None) -> Ownership:
        """Mode, owner and group as they were: Airflow, often another user, must be able to read it afterwards."""
        if seen is None:
            return Ownership(NEW_MODE if self._mode is None else self._mode)
        mode = stat.S_IMODE(seen.st_mode) if self._mode is None else self._mode
        if mode & stat.S_IROTH:
            logs.get().warning("secret_world_readable", error=f"everybody may read {self._path}", fix="Remove o+r")
        if os.geteuid() == 0:
            return Ownership(mode, seen.st_uid, seen.st_gid)
        if seen.st_gid in (os.getegid(), *os.getgroups()):
            return Ownership(mode, gid=seen.st_gid)
        if mode & stat.S_IRGRP and not mode & stat.S_IROTH:
            message = f"{self._path} belongs to the group {seen.st_gid}, which uid {os.geteuid()} is not in"
            raise Failed(Reason.DENIED, f"{message}: its readers would lose it", f"Join the group {seen.st_gid}")
        return Ownership(mode)

    def _entry(self, snapshot: Snapshot, connection: Connection) -> dict[str, Any] | None:
        with self._named():
            return file_format.entry_of(_text(snapshot), self._path, connection.id)

    def _holding(self, connection: Connection, host: str, kept: dict[str, Any] | None) -> Holding:
        if kept is None and not connection.create:
            message = f"{self._path} has no connection {connection.id}"
            raise Failed(Reason.MISSING, message, "Create it there, or set create: true")
        return entry.holding(kept, host)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except Unreadable as error:  # no cause: a parser's error shows what it parsed
            raise Failed(Reason.INVALID, f"{self._path} {error.said}", error.fix) from None


def _text(snapshot: Snapshot) -> str:
    try:
        return (snapshot.content or b"").decode()
    except UnicodeDecodeError:
        raise Unreadable("is not UTF-8 text", "Correct it, or move it away") from None
