"""Connections in a file that Airflow's LocalFilesystemBackend reads at each lookup: replaced whole, never torn."""

import os
import stat
from typing import Any

from ..... import logs
from .....core.model import Credential, Failed, Holding, Outcome, Reason
from .....core.plan import Connection, SecretsFile
from ....files import examination, paths
from ....files.atomic_file import Ownership, Snapshot, make_directories
from ....files.lock import locked
from .. import entry
from ..entry import Shape, Wanted
from . import file_format

ROUNDS = 5  # how often somebody else may write in the moment of our write


class SecretsFileSink:
    """One file; thread-safe, and safe beside other daemons. Other entries stay as they are."""

    def __init__(self, file: SecretsFile) -> None:
        self._path = os.path.abspath(file.path)
        self._mode = file.mode

    def look(self, connection: Connection, host: str) -> Holding:
        """Say until when the file holds a login for this registry, as its marker records it. Raises Failed."""
        return self._holding(connection, host, self._fields(connection))

    def deliver(self, connection: Connection, host: str, credential: Credential, *, still_wanted: Wanted) -> Outcome:
        """Write the credential: `written`; or `skipped` where the file holds something good by now. Raises Failed."""
        place = paths.locate(self._path)
        if not os.path.isdir(place.folder):
            make_directories(place.folder)
            place = paths.locate(self._path)
        with paths.opened(self._path, place) as folder, locked(folder, place.beside("lock")):
            for _ in range(ROUNDS):
                snapshot = paths.read(folder, place)
                text = self._text(snapshot)
                kept = file_format.entry_of(text, self._path, connection.id)
                if not still_wanted(self._holding(connection, host, kept)):
                    return Outcome.SKIPPED
                text = file_format.replaced(text, self._path, connection.id, entry.renewed(kept, host, credential))
                if folder.replace(place.name, text.encode(), self._ownership(snapshot.stat), snapshot.is_still):
                    return Outcome.WRITTEN
        message = f"{self._path}: another program keeps writing to it"
        raise Failed(Reason.TRANSIENT, message, "Find that program, and stop it")

    def inspect(self, connection: Connection, host: str) -> Shape | None:
        """Say what the connection is like; None if it is not there. Raises Failed."""
        kept = self._fields(connection)
        return None if kept is None else entry.shape({"password": "", **kept}, host)

    def examine(self) -> examination.Examination:
        """Examine the file's place. Raises Failed."""
        return examination.examine(paths.locate(self._path).path)

    def _ownership(self, seen: os.stat_result | None) -> Ownership:
        """Mode, ACL, owner and group as they were: Airflow, often another user, must be able to read it afterwards."""
        mode = self._mode if self._mode is not None or seen is None else stat.S_IMODE(seen.st_mode)
        if seen is None or mode is None:
            return Ownership(mode)
        may_keep_group = os.geteuid() == 0 or seen.st_gid in (os.getegid(), *os.getgroups())
        if mode & stat.S_IROTH:
            logs.get().warning("secret_world_readable", error=f"everybody may read {self._path}", fix="Remove o+r")
        elif mode & stat.S_IRGRP and not may_keep_group:
            message = f"{self._path} belongs to the group {seen.st_gid}, which uid {os.geteuid()} is not in"
            raise Failed(Reason.DENIED, f"{message}: its readers would lose it", f"Join the group {seen.st_gid}")
        # By its number, so that root without CAP_CHOWN fails: left to itself, a write would lock the group out.
        return Ownership(self._mode, gid=seen.st_gid if may_keep_group and mode & stat.S_IRWXG else None)

    def _fields(self, connection: Connection) -> dict[str, Any] | None:
        place = paths.locate(self._path)
        if not os.path.isdir(place.folder):
            return None
        with paths.opened(self._path, place) as folder:
            return file_format.entry_of(self._text(paths.read(folder, place)), self._path, connection.id)

    def _holding(self, connection: Connection, host: str, kept: dict[str, Any] | None) -> Holding:
        if kept is None and not connection.create:
            raise Failed(Reason.MISSING, f"{self._path} has no connection {connection.id}", entry.CREATE_IT)
        return entry.holding(kept, host)

    def _text(self, snapshot: Snapshot) -> str:
        try:
            return (snapshot.content or b"").decode()
        except UnicodeDecodeError:
            raise Failed(Reason.INVALID, f"{self._path} is not UTF-8 text", "Correct it, or move it away") from None
