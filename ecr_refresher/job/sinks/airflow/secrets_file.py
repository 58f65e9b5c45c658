"""Connections in a file that Airflow's LocalFilesystemBackend reads at each lookup: replaced whole, never torn."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any

from ....core.model import Credential, Failed, Holding, Outcome, Reason
from ....core.plan import Connection, SecretsFile
from ...files import examination as file_examination
from ...files.atomic_file import Folder, Ownership, Snapshot, make_directories
from ...files.examination import Examination
from ...files.lock import locked
from . import entry
from . import secrets_document as document
from .entry import Shape

ROUNDS = 5  # how often somebody else may write in the very moment of our write


class SecretsFileSink:
    """One file; thread-safe, and safe beside other daemons. Other entries stay as they are."""

    def __init__(self, file: SecretsFile) -> None:
        self._path = os.path.realpath(file.path)
        self._mode = 0o600 if file.mode is None else file.mode
        self._folder, self._name = os.path.split(self._path)

    def look(self, connection: Connection, host: str) -> Holding:
        """Tell until when the file holds a login for this registry, as its marker records it. Raises Failed."""
        if not os.path.isdir(self._folder):
            return self._found(connection, host, None)
        with Folder(self._folder) as folder:
            return self._found(connection, host, self._entry(folder.read(self._name), connection))

    def deliver(
        self, connection: Connection, host: str, credential: Credential, *, still_wanted: Callable[[Holding], bool]
    ) -> Outcome:
        """Write the credential: `written`; or `skipped` where the file holds something good by now. Raises Failed."""
        make_directories(self._folder)
        with Folder(self._folder) as folder, locked(folder, f".{self._name}.ecr-refresher.lock"):
            for _ in range(ROUNDS):
                snapshot = folder.read(self._name)
                kept = self._entry(snapshot, connection)
                if not still_wanted(self._found(connection, host, kept)):
                    return Outcome.SKIPPED
                with self._told():
                    text = document.replaced(
                        _text(snapshot), self._path, connection.id, entry.renewed(kept, host, credential)
                    )
                if self._put(folder, snapshot, text):
                    return Outcome.WRITTEN
        raise Failed(Reason.TRANSIENT, f"{self._path} is written by somebody else all the time; find out by whom")

    def inspect(self, connection: Connection, host: str) -> Shape | None:
        """Tell what the connection is like; None if it is not there. Raises Failed."""
        if not os.path.isdir(self._folder):
            return None
        with Folder(self._folder) as folder:
            kept = self._entry(folder.read(self._name), connection)
        return None if kept is None else entry.shape({"password": "", **kept}, host)

    def examine(self) -> Examination:
        """Examine the file's place. Raises Failed."""
        return file_examination.examine(self._path)

    def close(self) -> None:
        """Nothing is open."""

    def _put(self, folder: Folder, seen: Snapshot, text: str) -> bool:
        """Replace the file, unless somebody who knows no lock of ours has written since."""
        # Airflow runs as another user more often than not: whoever may read the file still may afterwards.
        owner = Ownership(self._mode)
        if seen.stat is not None and os.geteuid() == 0:
            owner = Ownership(self._mode, seen.stat.st_uid, seen.stat.st_gid)
        elif seen.stat is not None and seen.stat.st_gid in (os.getegid(), *os.getgroups()):
            owner = Ownership(self._mode, gid=seen.stat.st_gid)
        same = folder.replace(
            self._name, text.encode(), owner, lambda: folder.witness(self._name) == seen.witness, hurried=True
        )
        return same is not None and stat.S_ISREG(same.st_mode)

    def _entry(self, snapshot: Snapshot, connection: Connection) -> dict[str, Any] | None:
        with self._told():
            return document.entry_of(document.read(_text(snapshot), self._path), connection.id)

    def _found(self, connection: Connection, host: str, kept: dict[str, Any] | None) -> Holding:
        if kept is None and not connection.create:
            words = f"has no connection {connection.id}; create it there, or set create: true"
            raise Failed(Reason.MISSING, f"{self._path} {words}")
        return entry.holding(kept, host)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:  # no cause: a parser's error shows what it parsed
            raise Failed(
                Reason.INVALID, f"{self._path} {error}; correct it, and it stays as it is until then"
            ) from None


def _text(snapshot: Snapshot) -> str:
    try:
        return (snapshot.content or b"").decode()
    except UnicodeDecodeError:
        raise ValueError("is no UTF-8 text") from None
