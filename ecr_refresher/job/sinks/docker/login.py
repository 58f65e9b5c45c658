"""Writes logins into one `config.json`, as whoever runs it: under our lock, merged, whole or not at all."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ....core.model import Failed, Outcome, Reason, Secret, witness_of
from ...files.atomic_file import Folder, Ownership, Snapshot, make_directories
from ...files.errors import mounted, told
from ...files.examination import is_mount
from ...files.lock import locked
from . import memory as docker_memory
from .document import Document
from .memory import Memory, Record

WRITES_MAX = 50  # somebody who writes faster than we can merge so often in a row is a fault
CALM_WRITES = 3
_TORN_TRIES = 4
_TORN_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Place:
    """Where a `config.json` really is, its links followed."""

    folder: str
    name: str
    linked: bool = False

    @property
    def path(self) -> str:
        return os.path.join(self.folder, self.name)

    @property
    def lock(self) -> str:
        return f".{self.name}.ecr-refresher.lock"

    @property
    def memory(self) -> str:
        return f".{self.name}.ecr-refresher.json"


@dataclass(frozen=True, slots=True)
class Known:
    """A `config.json` and what is remembered of it, as last read or written, and the witnesses of both."""

    witness: str
    document: Document
    remembered: str
    memory: Memory

    def still(self, folder: Folder, place: Place) -> bool:
        """Whether both are what they were."""
        now = place.path, folder.witness(place.name), folder.witness(place.memory)
        return now == (self.document.path, self.witness, self.remembered)


@dataclass(frozen=True, slots=True)
class Login:
    """What is to stand there. With `helper` that one keeps the login itself, and `auths` only names the host."""

    host: str
    auth: Secret = field(repr=False)  # base64 of name and password, as `auths` has it
    issued_at: float
    expires_at: float
    helper: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What came of it: the witness of the file that was merged from, and of the one that is there now."""

    outcome: Outcome
    base: str
    witness: str


# What came of one login; None if the file gives its host to another helper by now.
Result = Written | Failed | None


@dataclass(frozen=True, slots=True)
class _Change:
    """A login, beside what the file that was read holds for its host."""

    login: Login
    held: str | None = field(repr=False)
    there: bool

    @classmethod
    def of(cls, login: Login, document: Document) -> _Change:
        auth = login.auth.reveal()
        if login.helper is None:
            held = document.auth(login.host)
            return cls(login, held, held == auth)
        return cls(login, auth, document.emptied(login.host))

    @property
    def wanted(self) -> str | None:
        return self.login.auth.reveal() if self.login.helper is None else None


def locate(config_file: str, uid: int | None) -> Place:
    """Follow the links. One of somebody else's making is refused: it could lead a write of ours anywhere."""
    with told(config_file):
        try:
            link = os.lstat(config_file)
        except FileNotFoundError:
            return Place(*os.path.split(config_file))
        if not stat.S_ISLNK(link.st_mode):
            return Place(*os.path.split(config_file))
        target = os.path.realpath(config_file)
        if link.st_uid not in (0, os.geteuid(), uid):
            raise Failed(Reason.DENIED, f"{config_file} is a link made by uid {link.st_uid}; name its target {target}")
        with suppress(FileNotFoundError):
            os.stat(config_file)  # a circle of links ends here
        if not os.path.isdir(os.path.dirname(target)):
            what = f"{config_file} is a link to {target}, whose directory is not there"
            raise Failed(Reason.MISSING, f"{what}; create it, or remove the link")
    return Place(*os.path.split(target), linked=True)


def read(folder: Folder, place: Place, uid: int | None) -> tuple[Snapshot, Document]:
    """Read the file. One that is empty or makes no sense may be in the middle of being written: read again."""
    tries = _TORN_TRIES
    while True:
        tries -= 1
        snapshot = folder.read(place.name)
        _refuse_others(place, snapshot.stat, uid)
        try:
            document = Document.parse(place.path, snapshot.content)
        except Failed:
            if not tries:
                raise
        else:
            if not tries or snapshot.content is None or snapshot.content.strip():
                return snapshot, document
        time.sleep(_TORN_PAUSE_S)


def know(folder: Folder, place: Place, uid: int | None, known: Known | None) -> Known:
    """Read the file and what is remembered of it, unless they are `known` already. Raises Failed."""
    if known is not None and known.still(folder, place):
        return known
    snapshot, document = read(folder, place, uid)
    # Memory is read after the file: a login that is in the file was remembered before it was written.
    remembered = folder.witness(place.memory)
    return Known(snapshot.witness, document, remembered, docker_memory.recall(folder, place.memory))


def _refuse_others(place: Place, seen: os.stat_result | None, uid: int | None) -> None:
    expected = os.geteuid() if uid is None else uid
    if place.linked and seen is not None and seen.st_uid != expected:
        what = f"{place.path} belongs to uid {seen.st_uid}, and a link leads there, so it is left alone"
        raise Failed(Reason.DENIED, f"{what}; name that file itself, or chown it to uid {expected}")


def write(
    config_file: str, owner: Ownership, logins: Sequence[Login], known: Known | None = None
) -> tuple[list[Result], Known]:
    """Bring the logins into the file, all in one write: the result of each, and what the file holds now.

    `known` is not read again if it is still so. Raises Failed where none can be brought.
    """
    place = locate(config_file, owner.uid)
    if not place.linked:
        make_directories(place.folder)
    with Folder(place.folder) as folder, locked(folder, place.lock):
        for tried in range(WRITES_MAX):
            known = know(folder, place, owner.uid, known)
            seen = folder.stat(place.name)  # mode and owner may change without the content
            _refuse_others(place, seen, owner.uid)
            found = [_compare(login, known.document) for login in logins]
            changes = [change for change in found if isinstance(change, _Change)]
            base, right_owner = known.witness, seen is not None and owner.holds(seen)
            if witness_of(seen) == base:
                written = _merge(folder, place, seen, known, changes, owner, hurried=tried >= CALM_WRITES)
                if written is not None:
                    return [_result(change, right_owner, base, written.witness) for change in found], written
    raise Failed(Reason.TRANSIENT, f"{place.path} is being written by somebody else all the time; find out by whom")


def _compare(login: Login, document: Document) -> _Change | Failed | None:
    try:
        return _Change.of(login, document) if document.helper_for(login.host) == login.helper else None
    except Failed as error:  # an entry that makes no sense is the trouble of its host alone
        return error


def _result(change: _Change | Failed | None, right_owner: bool, base: str, witness: str) -> Result:
    if not isinstance(change, _Change):
        return change
    return Written(Outcome.UNCHANGED if change.there and right_owner else Outcome.WRITTEN, base, witness)


def _merge(
    folder: Folder,
    place: Place,
    seen: os.stat_result | None,
    known: Known,
    changes: Sequence[_Change],
    owner: Ownership,
    *,
    hurried: bool,
) -> Known | None:
    """Write what was read with our logins in it, if it differs: what is there now, or None if somebody wrote."""
    right_owner = seen is not None and owner.holds(seen)
    unchanged = not changes or (right_owner and all(change.there for change in changes))
    if not unchanged and is_mount(place.path):
        raise mounted(place.path)
    known = _remember(folder, place, known, changes)
    if unchanged:
        return known
    document = known.document.with_logins({change.login.host: change.wanted for change in changes})

    def still() -> bool:
        return folder.witness(place.name) == known.witness

    written = folder.replace(place.name, document.render(), _keeping(owner, seen), still, hurried=hurried)
    return None if written is None else replace(known, witness=witness_of(written), document=document)


def _remember(folder: Folder, place: Place, known: Known, changes: Sequence[_Change]) -> Known:
    """Write records down before their logins are written, and keep those of the logins in place until then.

    So whichever of the two a kill or a full disk leaves in place is known.
    """
    new: Memory = {}
    for change in changes:
        login, auth = change.login, change.login.auth.reveal()
        if docker_memory.match(known.memory, login.host, auth) is None:
            present = docker_memory.match(known.memory, login.host, change.held)
            record = Record.of(login.host, auth, login.issued_at, login.expires_at)
            new[login.host] = (record,) if present is None else (record, present)
    if new:
        memory = {**known.memory, **new}
        with suppress(Failed):  # without memory the login is as good; and what keeps it away will be told for the file
            return replace(known, remembered=docker_memory.write(folder, place.memory, memory), memory=memory)
    return known


def _keeping(owner: Ownership, seen: os.stat_result | None) -> Ownership:
    """Where no owner is set, root leaves a file to whom it belongs, as the docker command does."""
    if seen is None or os.geteuid() != 0:
        return owner
    uid = seen.st_uid if owner.uid is None else owner.uid
    gid = seen.st_gid if owner.gid is None else owner.gid
    return Ownership(owner.mode, uid, gid)
