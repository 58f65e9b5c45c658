"""Reads one `config.json` with its record, and writes logins into both: under our lock, merged, whole or not at all."""

import base64
import os
import stat
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from ....core.budgets import config_max, login_max
from ....core.model import Credential, Failed, Failure, Outcome, Reason, Secret, witness_of
from ...files import paths
from ...files.atomic_file import Folder, Ownership, Snapshot, make_directories
from ...files.errors import mounted
from ...files.examination import is_mount
from ...files.lock import locked
from . import record
from .document import Document
from .messages import Claimed, ConfigFile, Login, Refused, Result, Written

WRITES_MAX = 50  # merges in a row that somebody else's write made void
_TORN_TRIES = 4
_TORN_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class State:
    """A `config.json` and its record as read, with the file's witness."""

    witness: str
    document: Document
    records: record.Records


def auth_of(username: str, secret: Secret) -> str:
    """A login as `auths` has it, unmasked."""
    return base64.b64encode(f"{username}:{secret.reveal()}".encode()).decode()


def login_in(auth: str) -> tuple[str, Secret] | None:
    """The user name and password in a text of `auths`; None if it is not one."""
    try:
        username, colon, password = base64.b64decode(auth).decode().partition(":")
    except ValueError:
        return None
    return (username, Secret(password.strip("\0"))) if colon else None


def locate(path: str) -> paths.Resolved:
    """Follow the links to where the file is, or is to be. Raises Failed."""
    place = paths.locate(path)
    if place.linked and not os.path.isdir(place.folder):
        what = f"{path} is a link to {place.path}, whose directory does not exist"
        raise Failed(Reason.MISSING, what, "Create that directory, or remove the link")
    return place


def read(file: ConfigFile) -> State:
    """Read the file and its record; nothing is written or created. Raises Failed."""
    place = locate(file.path)
    if not os.path.exists(place.folder):
        return State(Snapshot().witness, Document.parse(place.path, None), {})
    with paths.opened(file.path, place) as folder:
        return _read(folder, place, file)


def _read(folder: Folder, place: paths.Resolved, file: ConfigFile) -> State:
    """Read the file. One that is empty or can't be parsed may be half written: read it again."""
    expected = os.geteuid() if file.uid is None else file.uid
    for left in range(_TORN_TRIES - 1, -1, -1):
        snapshot = paths.read(folder, place, config_max(file.logins))
        if place.linked and snapshot.stat is not None and snapshot.uid != expected:
            what = f"{place.path} belongs to uid {snapshot.uid}, and a link leads to it"
            raise Failed(Reason.DENIED, what, f"Set config_file to that file, or chown it to uid {expected}")
        try:
            document = Document.parse(place.path, snapshot.content, snapshot.uid)
            if not left or snapshot.content is None or snapshot.content.strip():
                break
        except Failed:
            if not left:
                raise
        time.sleep(_TORN_PAUSE_S)
    # The record is read after the file: a login in the file was recorded before it was written.
    return State(snapshot.witness, document, record.read(folder, place.beside("json"), file.logins))


@dataclass(frozen=True, slots=True)
class _Change:
    """A login to write, and what the file holds now. With a helper, `auths` only names the host."""

    host: str
    credential: Credential
    auth: str = field(repr=False)
    held: str | None = field(repr=False)
    is_there: bool
    by_helper: bool

    @classmethod
    def of(cls, login: Login, most: int, helper: str | None, document: Document) -> Self | Claimed | Refused:
        """Claimed if the file gives the host to another helper than this one; Refused if it is larger than `most`."""
        host, credential = login
        auth = auth_of(credential.username, credential.secret)
        if len(auth) > most:
            what = f"the login for {host} has {len(auth) >> 10} KiB, and {most >> 10} KiB is the most in this file"
            return Refused(Failure(Reason.INVALID, what, "See who gives such tokens (endpoint_url, a proxy)"))
        try:
            claim = document.helper_for(host)
            if claim != helper:
                return Claimed(claim or "")
            if helper is not None:
                return cls(host, credential, auth, auth, document.emptied(host), True)
            held = document.auth(host)
        except Failed as error:  # an invalid entry fails its own host only
            return Refused(error.failure)
        return cls(host, credential, auth, held, held == auth, False)

    def written(self, base: str, after: os.stat_result | None, *, owned: bool) -> Written:
        outcome = Outcome.UNCHANGED if self.is_there and owned else Outcome.WRITTEN
        return Written(outcome, base, witness_of(after), after is not None and bool(after.st_mode & stat.S_IROTH))


def write(file: ConfigFile, logins: Sequence[Login], helpers: Mapping[str, str] | None = None) -> list[Result]:
    """Write the logins, all at once; return a result for each. Raises Failed where none can be written.

    `helpers` are those that keep the login themselves, by host; a host that another helper claims is Claimed.
    """
    place = locate(file.path)
    if not os.path.isdir(place.folder):
        make_directories(place.folder)
        place = locate(file.path)
    owner = Ownership(file.mode, file.uid, file.gid)
    with paths.opened(file.path, place) as folder, locked(folder, place.beside("lock")):
        for _ in range(WRITES_MAX):
            state = _read(folder, place, file)
            after = folder.stat(place.name)  # mode and owner may change without the content
            if witness_of(after) != state.witness:
                continue
            most, claims = login_max(file.logins), helpers or {}
            found = [_Change.of(login, most, claims.get(login[0]), state.document) for login in logins]
            changes = [change for change in found if isinstance(change, _Change)]
            owned = after is not None and owner.holds(after)
            if changes and (after := _merge(folder, place, state, changes, owner, owned=owned)) is None:
                continue
            return [
                each.written(state.witness, after, owned=owned) if isinstance(each, _Change) else each for each in found
            ]
    what = f"{place.path}: another program keeps writing to it"
    raise Failed(Reason.TRANSIENT, what, "Find that program, and stop it")


def _merge(
    folder: Folder, place: paths.Resolved, state: State, changes: Sequence[_Change], owner: Ownership, *, owned: bool
) -> os.stat_result | None:
    """Write the changes into what was read, if that differs: the file's stat, or None if somebody else wrote."""
    unchanged = owned and all(change.is_there for change in changes)
    if not unchanged and is_mount(place.path):
        raise mounted(place.path)
    _remember(folder, place, state.records, changes)
    if unchanged:
        return folder.stat(place.name)
    wanted = {change.host: None if change.by_helper else change.auth for change in changes}
    content = state.document.with_logins(wanted).render()
    return folder.replace(place.name, content, owner, lambda seen: witness_of(seen) == state.witness)


def _remember(folder: Folder, place: paths.Resolved, records: record.Records, changes: Sequence[_Change]) -> None:
    """Record logins before they are written, and keep the records of those in place until then.

    So a kill or a full disk between the two leaves a login that is known, whichever it is.
    """
    new: record.Records = {}
    for change in changes:
        if record.match(records, change.host, change.auth) is None:
            present = record.match(records, change.host, change.held)
            made = record.Record.of(change.host, change.auth, change.credential)
            new[change.host] = (made,) if present is None else (made, present)
    if new:
        with suppress(Failed):  # a login works without its record; what prevents both fails with the file itself
            record.write(folder, place.beside("json"), {**records, **new})
