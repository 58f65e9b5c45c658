"""Connections as JSON texts in Secrets Manager or Parameter Store, as the amazon provider's backends read them."""

import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from .....core.model import Credential, Failed, Holding, Outcome, Reason
from .....core.plan import Connection, ParameterStore, SecretsManager
from .....core.printable import printable
from .. import entry
from ..entry import Shape, Wanted
from ..mwaa import Call

Answer = Mapping[str, Any]
_NO_PARAMETER, _PARAMETER_EXISTS = "ParameterNotFound", "ParameterAlreadyExists"
_NO_SECRET, _SECRET_EXISTS = "ResourceNotFoundException", "ResourceExistsException"
PAGES_MAX = 10
_KEPT = ("KeyId", "Description", "AllowedPattern")  # a new parameter version gets the defaults of those not named


class AwsStore(ABC):
    """The entries of one store; thread-safe, as boto3's clients are."""

    word: str  # what the service calls an entry
    size_max: int  # bytes
    rights: str

    def __init__(self, region: str, name: Callable[[Connection], str], call: Call) -> None:
        """`name` is what the store calls the entry of a connection."""
        self._region, self.name, self._call = region, name, call

    @abstractmethod
    def read(self, connection: Connection) -> str | None:
        """The text of an entry; None where there is none. Raises Failed."""

    @abstractmethod
    def write(self, connection: Connection, text: str, *, new: bool) -> bool:
        """Create an entry, or give it a new text; false if it should be `new`, but exists by now. Raises Failed."""

    @abstractmethod
    def may_write(self, connection: Connection) -> None:
        """Try a write that changes nothing; rights are judged first. Raises Failed."""

    def look(self, connection: Connection, host: str) -> Holding:
        """Say until when the entry holds a login for this registry, as its marker records it. Raises Failed."""
        return self._holding(connection, host, self._fields(connection))

    def deliver(self, connection: Connection, host: str, credential: Credential, *, still_wanted: Wanted) -> Outcome:
        """Write the credential: `written`; or `skipped` where the entry holds something good by now. Raises Failed.

        The entry is read again right before: there is no write on a condition, and other fields must not be lost.
        """
        kept = self._fields(connection)
        if not still_wanted(self._holding(connection, host, kept)):
            return Outcome.SKIPPED
        text = json.dumps(entry.renewed(kept, host, credential))
        if (size := len(text.encode())) > self.size_max:
            said = f"would have {size} bytes, and {self.size_max} is the most"
            raise self.failed(connection, Reason.INVALID, said, "Shorten its description or extra")
        if not self.write(connection, text, new=kept is None):
            said = "appeared in the moment of its creation, or was deleted a moment ago"
            raise self.failed(connection, Reason.TRANSIENT, said, "Stop the script that deletes and creates it")
        return Outcome.WRITTEN

    def inspect(self, connection: Connection, host: str) -> Shape | None:
        """Say what the connection is like; None if it is not there. Raises Failed."""
        kept = self._fields(connection)
        return None if kept is None else entry.shape({"password": "", **kept}, host)

    def ask(self, connection: Connection, call: str, request: Mapping[str, Any], *expected: str) -> Answer | None:
        """One call; None where AWS refuses with an `expected` code. Raises Failed without AWS's text: it may quote."""
        answer = self._call(f"{call} of the {self.word} {self.name(connection)}", call, request)
        error = answer.get("Error")
        if not isinstance(error, Mapping):
            return answer
        code = printable(str(error.get("Code"))[:80])
        if code in expected:
            return None
        said = f"answered {call} with {code}"
        match code:
            case "AccessDeniedException" | "AccessDenied":
                reason, fix = Reason.DENIED, f"Allow {self.rights} on it, and the use of its KMS key"
            case "ThrottlingException" | "LimitExceededException" | "TooManyUpdates" | "RequestLimitExceeded":
                reason, fix = Reason.THROTTLED, "Raise the service's quota, if this stays"
            case "InternalServiceError" | "InternalServerError" | "ServiceUnavailable" | "ServiceUnavailableException":
                reason, fix = Reason.TRANSIENT, "Look at AWS's health dashboard, if this stays"
            case "InvalidRequestException":  # of Secrets Manager, as the next
                said = "is scheduled for deletion"
                reason, fix = Reason.INVALID, "Restore it (restore-secret)"
            case "DecryptionFailure" | "EncryptionFailure":
                said = f"can't be used with its KMS key ({code})"
                reason, fix = Reason.DENIED, "Allow kms:Decrypt and kms:GenerateDataKey on that key"
            case _:
                reason, fix = Reason.INVALID, "Correct its name, prefix, region or role_arn"
        raise self.failed(connection, reason, said, fix)

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
            fix = "Write it as one: a URI has no place for the marker"
            raise self.failed(connection, Reason.INVALID, "holds no JSON object", fix)
        return found

    def _holding(self, connection: Connection, host: str, kept: dict[str, Any] | None) -> Holding:
        if kept is None and not connection.create:
            raise self.failed(connection, Reason.MISSING, "is not there", entry.CREATE_IT)
        return entry.holding(kept, host)


class SecretsManagerSink(AwsStore):
    """The secrets under one prefix."""

    word, size_max = "secret", 65_536
    rights = "secretsmanager:GetSecretValue, PutSecretValue and CreateSecret"

    def __init__(self, manager: SecretsManager, call: Call) -> None:
        super().__init__(manager.region, manager.secret_of, call)

    def read(self, connection: Connection) -> str | None:
        found = self.ask(connection, "get_secret_value", {"SecretId": self.name(connection)}, _NO_SECRET)
        return None if found is None else str(found.get("SecretString") or "")

    def write(self, connection: Connection, text: str, *, new: bool) -> bool:
        # A token of the request's own: where its answer got lost, it can be asked for again without a second version.
        version = {"SecretString": text, "ClientRequestToken": str(uuid.uuid4())}
        if new:
            request = {"Name": self.name(connection), **version}
            return self.ask(connection, "create_secret", request, _SECRET_EXISTS) is not None
        return self.ask(connection, "put_secret_value", {"SecretId": self.name(connection), **version}) is not None

    def may_write(self, connection: Connection) -> None:
        """Ask for a new version without a value, which can't be made.

        Whether a secret may be created can't be asked: one without a value would be created.
        """
        request = {"SecretId": self.name(connection)}
        self.ask(connection, "put_secret_value", request, _NO_SECRET, "InvalidParameterException")


class ParameterStoreSink(AwsStore):
    """The parameters under one prefix. Tokens of ECR need the advanced tier: a standard parameter holds 4 KB."""

    word, size_max = "parameter", 8192
    rights = "ssm:GetParameter and ssm:PutParameter on it, ssm:DescribeParameters"

    def __init__(self, store: ParameterStore, call: Call) -> None:
        super().__init__(store.region, store.parameter_of, call)

    def read(self, connection: Connection) -> str | None:
        request = {"Name": self.name(connection), "WithDecryption": True}
        found = self.ask(connection, "get_parameter", request, _NO_PARAMETER)
        return None if found is None else str((found.get("Parameter") or {}).get("Value") or "")

    def write(self, connection: Connection, text: str, *, new: bool) -> bool:
        """A new version keeps the key, the description and the pattern of the one before."""
        if new:
            return self._put(connection, text, _PARAMETER_EXISTS)
        found = self._described(connection)
        if found.get("Type", "SecureString") != "SecureString":
            said = f"is a {found['Type']}, and AWS changes no parameter's type"
            raise self.failed(connection, Reason.INVALID, said, "Delete it, so that it is created as a SecureString")
        return self._put(connection, text, Overwrite=True, **{name: found[name] for name in _KEPT if found.get(name)})

    def _described(self, connection: Connection) -> Mapping[str, Any]:
        """What the store says of the parameter; an empty page may come before the one that has it."""
        named = {"Key": "Name", "Option": "Equals", "Values": [self.name(connection)]}
        request: dict[str, Any] = {"ParameterFilters": [named]}
        for _ in range(PAGES_MAX):
            answer = self.ask(connection, "describe_parameters", request) or {}
            found: Mapping[str, Any] = next(iter(answer.get("Parameters") or []), {})
            if found:
                return found
            if not answer.get("NextToken"):
                break
            request["NextToken"] = answer["NextToken"]
        said = "is not described by AWS, so its key and pattern are not known"
        raise self.failed(connection, Reason.TRANSIENT, said, "Nothing to do: it is tried again")

    def may_write(self, connection: Connection) -> None:
        """Ask to create the parameter where it is there already, which can't be done."""
        if self.read(connection) is not None:
            self._put(connection, "no", _PARAMETER_EXISTS)

    def _put(self, connection: Connection, text: str, *expected: str, **more: Any) -> bool:
        request = {"Name": self.name(connection), "Value": text, "Type": "SecureString", "Tier": "Intelligent-Tiering"}
        return self.ask(connection, "put_parameter", {**request, **more}, *expected) is not None
