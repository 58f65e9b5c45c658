"""The words of the project as types: secret, credential, holding, failure.

Times are seconds since the epoch as `float`, on the clock of AWS, and their names end in `_at` or are `until`.
Durations are seconds as `float`, and their names end in `_s` or are `life`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NoReturn

from msgspec import Struct

if TYPE_CHECKING:
    import os

MASK = "***"


class Reason(StrEnum):
    """Why something failed; the closed set that metrics, logs and `/status` share."""

    TRANSIENT = "transient"  # a timeout, a cut connection, a 5xx: another try may do
    THROTTLED = "throttled"  # told to come more seldom
    DENIED = "denied"  # somebody has to grant a right or mend a password
    INVALID = "invalid"  # an answer, a token or a file that makes no sense
    MISSING = "missing"  # a file, a connection or a setting that is not there (yet)
    INTERNAL = "internal"  # a fault of ours


class Outcome(StrEnum):
    """What came of bringing one credential to one slot."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"  # that very credential is there already
    SKIPPED = "skipped"  # a fresh enough one is there already
    FAILED = "failed"


class Secret:
    """A text that shows itself to nobody; `reveal()` is for the library or file that needs it.

    Not a dataclass: those print their fields. Pickle and copy are refused, JSON encoders don't know it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text itself, to be handed on at once and kept nowhere."""
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

    __hash__ = None  # type: ignore[assignment]  # a dictionary key would be a way to compare by hash

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled or copied")


class Failure(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Why one attempt failed: a reason for machines; for people what happened to what, and the fix. No secrets."""

    reason: Reason
    message: str
    fix: str = ""  # what the user does about it, as an imperative
    login_refused: bool = False  # tried often, this may lock the account: see schedule.retry_pause
    retry_after_s: float | None = None  # how long the server asks to be left alone

    def __str__(self) -> str:
        return f"{self.message}. {self.fix}" if self.fix else self.message


class Failed(Exception):
    """Ends an attempt, and carries the `Failure` to the caller that reports it."""

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
    def of(cls, failure: Failure) -> Failed:
        """Raise again what another attempt has met."""
        return cls(
            failure.reason,
            failure.message,
            failure.fix,
            login_refused=failure.login_refused,
            retry_after_s=failure.retry_after_s,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Credential:
    """A login for all registries of one principal and region, and its life. Told apart by identity, not content."""

    username: str
    secret: Secret = field(repr=False)
    issued_at: float
    expires_at: float  # whole seconds: an Airflow marker records no finer ones

    @property
    def life(self) -> float:
        return self.expires_at - self.issued_at


@dataclass(frozen=True, slots=True)
class Holding:
    """What a slot held when it was looked at.

    `until` is None where nothing usable is known of it: no entry, no marker, somebody else's password.
    `own_record` tells that `until` was proved against the content (a fingerprint), not only read off a text
    that anybody can edit; such a record is believed however far it reaches.
    """

    until: float | None = None
    own_record: bool = False
    life: float | None = None  # of the credential held, where it was recorded
    witness: str | None = None  # the file's stat at that moment: changes when somebody writes


NOTHING = Holding()


def witness_of(stat: os.stat_result | None) -> str:
    """A text that changes whenever somebody writes or replaces the file; `absent` for none."""
    if stat is None:
        return "absent"
    return f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}"
