"""The record beside a `config.json`: for each host, which login we wrote and until when it is valid.

A login is known by a salted fingerprint, so the record holds no secret. Lost or torn, it costs one fetch. It is a file
of its own beside the lock file, because a file that is replaced can't be the one that is locked.
"""

import hashlib
import hmac
import os
from typing import Literal, Self

import msgspec
from msgspec import Struct

from ....core.budgets import LOGIN_LIFE_S, record_max
from ....core.model import Credential, Failed
from ...files.atomic_file import Folder, Ownership


class Record(Struct, frozen=True, forbid_unknown_fields=True):
    """One login that we brought to a host, and its life."""

    salt: str
    fingerprint: str
    issued_at: float
    expires_at: float

    @classmethod
    def of(cls, host: str, auth: str, credential: Credential) -> Self:
        salt = os.urandom(16).hex()
        return cls(salt, _fingerprint(salt, host, auth), credential.issued_at, credential.expires_at)

    @property
    def life(self) -> float:
        return self.expires_at - self.issued_at


Records = dict[str, tuple[Record, ...]]


class _File(Struct, forbid_unknown_fields=True):
    version: Literal[1]
    hosts: Records


def _fingerprint(salt: str, host: str, auth: str) -> str:
    return hmac.new(salt.encode(), f"{host}\0{auth}".encode(), hashlib.sha256).hexdigest()


def read(folder: Folder, name: str, logins: int) -> Records:
    """Read the records. One that can't be read or parsed, or that another user wrote, counts as none."""
    try:
        snapshot = folder.read(name, record_max(logins))
        if snapshot.content is None or snapshot.stat is None or snapshot.stat.st_uid != os.geteuid():
            return {}
        return msgspec.json.decode(snapshot.content, type=_File).hosts
    except (Failed, msgspec.MsgspecError, RecursionError):
        return {}


def match(records: Records, host: str, auth: str | None) -> Record | None:
    """The record of this very login, with a life that a token can have."""
    if auth is None:
        return None
    for found in records.get(host, ()):
        same = hmac.compare_digest(found.fingerprint.encode(), _fingerprint(found.salt, host, auth).encode())
        if same and 0 < found.life <= LOGIN_LIFE_S:
            return found
    return None


def write(folder: Folder, name: str, records: Records) -> None:
    """Replace the records. Raises Failed."""
    folder.replace(name, msgspec.json.encode(_File(1, records)), Ownership(0o600, os.geteuid()))
