"""Connections as JSON texts in a store of AWS, which the amazon provider's backends read."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from .....core.model import NOTHING, Credential, Failed, Holding, Outcome, Reason
from .....core.plan import Connection
from .....core.printable import printable
from .. import entry
from ..entry import Shape

# Makes one call by its boto3 name: gives the answer, or the error's response where AWS refused.
Call = Callable[[str, str, Mapping[str, Any]], Mapping[str, Any]]

_THROTTLED = {"ThrottlingException", "LimitExceededException", "TooManyUpdates", "RequestLimitExceeded"}
_TRANSIENT = {"InternalServiceError", "InternalServerError", "ServiceUnavailable", "ServiceUnavailableException"}


class AwsStore(ABC):
    """The entries of one store; thread-safe, as boto3's clients are."""

    word = ""  # what the service calls an entry
    size_max = 0  # bytes
    rights = ""
    missing: str = ""  # the code of a read of one that is not there
    exists: str = ""  # the code of a creation of one that is there

    def __init__(self, region: str, call: Call) -> None:
        self._region = region
        self._call = call

    @abstractmethod
    def name(self, connection: Connection) -> str:
        """What the store calls the entry of a connection."""

    @abstractmethod
    def read(self, connection: Connection) -> str | None:
        """The text of an entry; None where there is none. Raises Failed."""

    @abstractmethod
    def create(self, connection: Connection, text: str) -> str | None:
        """Create an entry; gives the error's code, `exists` among them, or None. Raises Failed."""

    @abstractmethod
    def update(self, connection: Connection, text: str) -> None:
        """Give an entry a new text. Raises Failed."""

    @abstractmethod
    def may_write(self, connection: Connection) -> None:
        """Try a write that changes nothing; rights are judged first. Raises Failed."""

    def look(self, connection: Connection, host: str) -> Holding:
        """Say until when the entry holds a login for this registry, as its marker records it. Raises Failed."""
        return self._holding(connection, host, self._fields(connection))

    def deliver(
        self, connection: Connection, host: str, credential: Credential, *, still_wanted: Callable[[Holding], bool]
    ) -> Outcome:
        """Write the credential: `written`; or `skipped` where the entry holds something good by now. Raises Failed.

        The entry is read again right before: there is no write on a condition, and other fields must not be lost.
        """
        kept = self._fields(connection)
        if not still_wanted(self._holding(connection, host, kept)):
            return Outcome.SKIPPED
        text = json.dumps(entry.renewed(kept, host, credential))
        if (size := len(text.encode())) > self.size_max:
            message = f"would have {size} bytes, and {self.size_max} is the most"
            raise self.failed(connection, Reason.INVALID, message, "Shorten its description or extra")
        if kept is not None:
            self.update(connection, text)
        elif self.create(connection, text) == self.exists:
            message = "appeared in the moment of its creation, or was deleted a moment ago"
            raise self.failed(connection, Reason.TRANSIENT, message, "Stop the script that deletes and creates it")
        return Outcome.WRITTEN

    def inspect(self, connection: Connection, host: str) -> Shape | None:
        """Say what the connection is like; None if it is not there. Raises Failed."""
        kept = self._fields(connection)
        return None if kept is None else entry.shape({"password": "", **kept}, host)

    def ask(self, connection: Connection, call: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make one call; the answer may be an error's."""
        return self._call(f"{call} of the {self.word} {self.name(connection)}", call, request)

    def refuse(self, connection: Connection, call: str, answer: Mapping[str, Any]) -> None:
        """Raise what an error's code means; return where there is none. AWS's text is not shown: it may quote."""
        if (code := code_of(answer)) is None:
            return
        said = f"answered {call} with {code}"
        if code in ("AccessDeniedException", "AccessDenied"):
            raise self.failed(connection, Reason.DENIED, said, f"Allow {self.rights} on it, and the use of its KMS key")
        if code in _THROTTLED:
            raise self.failed(connection, Reason.THROTTLED, said, "Raise the service's quota, if this stays")
        if code in _TRANSIENT:
            raise self.failed(connection, Reason.TRANSIENT, said, "Look at AWS's health dashboard, if this stays")
        raise self.failed(connection, Reason.INVALID, said, "Correct its name, prefix, region or role_arn")

    def failed(self, connection: Connection, reason: Reason, said: str, fix: str) -> Failed:
        return Failed(reason, f"the {self.word} {self.name(connection)} in {self._region} {said}", fix)

    def _fields(self, connection: Connection) -> dict[str, Any] | None:
        text = self.read(connection)
        if text is None:
            return None
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            message = "holds no JSON object"
            raise self.failed(connection, Reason.INVALID, message, "Write it as one: a URI has no place for the marker")
        return found

    def _holding(self, connection: Connection, host: str, kept: dict[str, Any] | None) -> Holding:
        if kept is None:
            if not connection.create:
                raise self.failed(connection, Reason.MISSING, "is not there", "Create it, or set create: true")
            return NOTHING
        return entry.holding(kept, host)


def code_of(answer: Mapping[str, Any]) -> str | None:
    """The code of an error's response; None of an answer."""
    error = answer.get("Error")
    return printable(str(error.get("Code"))[:80]) if isinstance(error, Mapping) else None
