"""What is remembered beside a `config.json`: per host, of which login we know until when it is good.

A login is told by a salted fingerprint, so the file holds no secret. It is a hint: lost, torn or forged, it costs
a fetch or misleads only those who may write the `config.json` itself. It is a second file beside the lock file,
because one that is replaced whole can't be the one that is locked: the lock would stay with the old one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ....core.model import Failed, witness_of
from ...files.atomic_file import Folder, Ownership

VERSION = 1
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Record:
    """One login that we brought to a host, and its life."""

    salt: str
    fingerprint: str
    issued_at: float
    expires_at: float

    @classmethod
    def of(cls, host: str, auth: str, issued_at: float, expires_at: float) -> Record:
        salt = os.urandom(_SALT_BYTES).hex()
        return cls(salt, fingerprint(salt, host, auth), issued_at, expires_at)

    def matches(self, host: str, auth: str) -> bool:
        return hmac.compare_digest(self.fingerprint, fingerprint(self.salt, host, auth))

    @property
    def life(self) -> float:
        return self.expires_at - self.issued_at


Memory = dict[str, tuple[Record, ...]]


def fingerprint(salt: str, host: str, auth: str) -> str:
    return hmac.new(salt.encode(), f"{host}\0{auth}".encode(), hashlib.sha256).hexdigest()


def recall(folder: Folder, name: str) -> Memory:
    """Read what is remembered; what can't be read or makes no sense is nothing."""
    try:
        raw = folder.read(name).content
        content = json.loads(raw or b"{}")
        if content["version"] != VERSION:
            return {}
        return {str(host): tuple(map(_record, records)) for host, records in content["hosts"].items()}
    except (Failed, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def match(memory: Memory, host: str, auth: str | None) -> Record | None:
    """The record of this very login."""
    if auth is None:
        return None
    return next((record for record in memory.get(host, ()) if record.matches(host, auth)), None)


def write(folder: Folder, name: str, memory: Memory) -> str:
    """Put this memory in the place of what is remembered; gives the file's witness. Raises Failed."""
    hosts = (f"{json.dumps(host)}: [{', '.join(map(_text_of, records))}]" for host, records in memory.items())
    text = f'{{"version": {VERSION}, "hosts": {{{", ".join(hosts)}}}}}\n'
    return witness_of(folder.replace(name, text.encode(), Ownership(0o600)))


@lru_cache(maxsize=4096)
def _text_of(record: Record) -> str:
    """Kept: where a thousand logins come within seconds, few of them are new in each write."""
    return json.dumps(
        {
            "salt": record.salt,
            "fingerprint": record.fingerprint,
            "issued_at": record.issued_at,
            "expires_at": record.expires_at,
        }
    )


def _record(entry: Any) -> Record:
    record = Record(
        str(entry["salt"]), str(entry["fingerprint"]), float(entry["issued_at"]), float(entry["expires_at"])
    )
    if not (record.fingerprint.isascii() and math.isfinite(record.life) and record.life > 0):
        raise ValueError("no record of a login")
    return record
