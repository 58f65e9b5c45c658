"""The words of the project as types: secret, credential, holding, failure.

Times are seconds since the epoch as `float`, on the clock of AWS, and their names end in `_at` or are `until`.
Durations are seconds as `float`, and their names end in `_s` or are `life`.
"""

import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NoReturn, Self

from msgspec import Struct, structs

MASK = "***"


class Reason(StrEnum):
    """Why something failed; the closed set that metrics, logs and `/status` share."""

    TRANSIENT = "transient"  # a timeout, a cut connection, a 5xx: a retry may succeed
    THROTTLED = "throttled"  # too many calls
    DENIED = "denied"  # a right is missing, or a login is wrong
    INVALID = "invalid"  # an answer, a token or a file that makes no sense
    MISSING = "missing"  # a file, a connection or a setting does not exist (yet)
    INTERNAL = "internal"  # a fault of ours


class Outcome(StrEnum):
    """The result of delivering one credential to one slot."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"  # the slot holds this very credential
    SKIPPED = "skipped"  # the slot holds another one that is fresh enough
    FAILED = "failed"


class Secret:
    """A text that never shows itself; `reveal()` is for the library or file that needs it.

    Not a dataclass: those print their fields. Pickle and copy are refused, JSON encoders don't know it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Hand it on at once, and keep it nowhere."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return self._text == other._text

    def __hash__(self) -> NoReturn:
        raise TypeError("a secret is unhashable")  # a hash would be a fingerprint of it

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled or copied")


class Record(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What crosses from one process to another: read strictly, and written without what is as usual."""


class Failure(Record, frozen=True):
    """Why one attempt failed: a reason for machines; for people what failed and the fix. It holds no secrets."""

    reason: Reason
    message: str
    fix: str = ""  # what the user does about it, in the imperative
    login_refused: bool = False  # tried often, this may lock the account: see schedule.retry_pause
    retry_after_s: float | None = None  # how long the server asks to be left alone

    def __str__(self) -> str:
        return f"{self.message}. {self.fix}" if self.fix else self.message

    @property
    def fields(self) -> dict[str, str | None]:
        """What a log line says of it."""
        return {"reason": self.reason, "error": self.message, "fix": self.fix or None}


class Failed(Exception):
    """Ends an attempt; carries its `Failure` to the caller that reports it."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        fix: str = "",
        *,
        login_refused: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = Failure(reason, message, fix, login_refused, retry_after_s)

    @classmethod
    def of(cls, failure: Failure) -> Self:
        """The exception for a failure that another attempt met."""
        return cls(**structs.asdict(failure))


@dataclass(frozen=True, slots=True, eq=False)
class Credential:
    """A login for all registries of one principal and region, and its life. Compared by identity, not by content."""

    username: str
    secret: Secret = field(repr=False)
    issued_at: float
    expires_at: float  # in whole seconds, as Airflow markers record it

    @property
    def life(self) -> float:
        return self.expires_at - self.issued_at


@dataclass(frozen=True, slots=True)
class Holding:
    """What a slot holds, as a look found it.

    `until` is None where nothing usable is known: no entry, no marker, somebody else's password. `own_record` means
    that a fingerprint of the content proves `until`. Without it, `until` comes from a text that anybody can edit.
    """

    until: float | None = None
    own_record: bool = False
    life: float | None = None  # of the credential that it holds, if recorded
    witness: str | None = None  # the file's stat: it changes when somebody writes


NOTHING = Holding()


def witness_of(stat: os.stat_result | None) -> str:
    """A text that changes when somebody writes or replaces the file; `absent` for no file."""
    if stat is None:
        return "absent"
    return f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}"
