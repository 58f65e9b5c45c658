"""Connections in AWS Secrets Manager, as the amazon provider's backend reads them: JSON, one secret each."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ....core.model import NOTHING, Credential, Failed, Holding, Outcome, Reason
from ....core.plan import Connection, SecretsManager
from . import entry
from .entry import Shape

SECRET_MAX = 65_536  # bytes that a secret may have
RIGHTS = "secretsmanager:GetSecretValue, PutSecretValue and CreateSecret"

# Makes one call by its botocore name: gives the answer, or the error's response where AWS refused.
Call = Callable[[str, str, Mapping[str, Any]], Mapping[str, Any]]


class SecretsManagerSink:
    """The secrets under one prefix; thread-safe, as botocore's clients are."""

    def __init__(self, manager: SecretsManager, call: Call) -> None:
        self._manager = manager
        self._call = call

    def look(self, connection: Connection, host: str) -> Holding:
        """Tell until when the secret holds a login for this registry, as its marker records it. Raises Failed."""
        return self._found(connection, host, self._read(connection))

    def deliver(
        self, connection: Connection, host: str, credential: Credential, *, still_wanted: Callable[[Holding], bool]
    ) -> Outcome:
        """Write the credential: `written`; or `skipped` where the secret holds something good by now. Raises Failed.

        It is read again right before: there is no write on a condition, and fields of others must not be lost.
        """
        kept = self._read(connection)
        if not still_wanted(self._found(connection, host, kept)):
            return Outcome.SKIPPED
        text = json.dumps(entry.renewed(kept, host, credential))
        if len(text.encode()) > SECRET_MAX:
            raise self._failed(
                connection, Reason.INVALID, f"would have more than {SECRET_MAX} bytes; shorten its extra"
            )
        # A token of the request's own: an answer that got lost may be asked for again without a second version.
        request = {"SecretString": text, "ClientRequestToken": str(uuid.uuid4())}
        if kept is None:
            code = self._write(connection, "create_secret", {"Name": self._id(connection), **request})
            if code != "ResourceExistsException":
                return Outcome.WRITTEN
            words = "appeared in the moment of its creation, or was deleted a moment ago; tried again"
            raise self._failed(connection, Reason.TRANSIENT, words)
        self._write(connection, "put_secret_value", {"SecretId": self._id(connection), **request})
        return Outcome.WRITTEN

    def inspect(self, connection: Connection, host: str) -> Shape | None:
        """Tell what the connection is like; None if it is not there. Raises Failed."""
        kept = self._read(connection)
        return None if kept is None else entry.shape({"password": "", **kept}, host)

    def may_write(self, connection: Connection) -> None:
        """Ask for a new version without a value, which can't be made: rights are judged first. Raises Failed.

        Whether a secret may be created can't be asked: one without a value would be created.
        """
        answer = self._ask(connection, "put_secret_value", {"SecretId": self._id(connection)})
        if _code(answer) not in (None, "ResourceNotFoundException", "InvalidParameterException"):
            self._refuse(connection, "put_secret_value", answer)

    def close(self) -> None:
        """Nothing is open: the client belongs to the session of the pass."""

    def _read(self, connection: Connection) -> dict[str, Any] | None:
        answer = self._ask(connection, "get_secret_value", {"SecretId": self._id(connection)})
        if _code(answer) == "ResourceNotFoundException":
            return None
        self._refuse(connection, "get_secret_value", answer)
        try:
            found = json.loads(answer.get("SecretString") or "")
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self._failed(connection, Reason.INVALID, "holds no JSON object; write it as one, a URI has no fields")
        return found

    def _write(self, connection: Connection, call: str, request: Mapping[str, Any]) -> str | None:
        answer = self._ask(connection, call, request)
        if _code(answer) != "ResourceExistsException":
            self._refuse(connection, call, answer)
        return _code(answer)

    def _ask(self, connection: Connection, call: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._call(f"{call} of the secret {self._id(connection)}", call, request)

    def _refuse(self, connection: Connection, call: str, answer: Mapping[str, Any]) -> None:
        """Raise what an error's code comes to. Its message is not shown: it may quote the request."""
        code = _code(answer)
        if code is None:
            return
        if code in ("AccessDeniedException", "AccessDenied"):
            raise self._failed(
                connection, Reason.DENIED, f"may not be used ({call}); allow {RIGHTS} on it, and its key"
            )
        if code == "InvalidRequestException":
            raise self._failed(connection, Reason.INVALID, "is scheduled for deletion; restore it (restore-secret)")
        if code in ("DecryptionFailure", "EncryptionFailure"):
            raise self._failed(connection, Reason.DENIED, f"can't be used with its KMS key ({code}); allow that key")
        if code in ("ThrottlingException", "LimitExceededException"):
            raise self._failed(connection, Reason.THROTTLED, f"got too many requests ({code})")
        if code == "InternalServiceError":
            raise self._failed(connection, Reason.TRANSIENT, f"is not served just now ({code}); tried again")
        raise self._failed(connection, Reason.INVALID, f"was refused to {call} ({code})")

    def _found(self, connection: Connection, host: str, kept: dict[str, Any] | None) -> Holding:
        if kept is None:
            if not connection.create:
                raise self._failed(connection, Reason.MISSING, "is not there; create it, or set create: true")
            return NOTHING
        return entry.holding(kept, host)

    def _failed(self, connection: Connection, reason: Reason, words: str) -> Failed:
        return Failed(reason, f"the secret {self._id(connection)} in {self._manager.region} {words}")

    def _id(self, connection: Connection) -> str:
        return f"{self._manager.prefix}/{connection.id}" if self._manager.prefix else connection.id


def _code(answer: Mapping[str, Any]) -> str | None:
    error = answer.get("Error")
    return str(error.get("Code"))[:80] if isinstance(error, Mapping) else None
