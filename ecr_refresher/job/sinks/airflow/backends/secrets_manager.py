"""Connections in AWS Secrets Manager, as the amazon provider's SecretsManagerBackend reads them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from .....core.model import Reason
from .....core.plan import Connection, SecretsManager
from .aws_store import AwsStore, Call, code_of


class SecretsManagerSink(AwsStore):
    """The secrets under one prefix."""

    word = "secret"
    size_max = 65_536
    rights = "secretsmanager:GetSecretValue, PutSecretValue and CreateSecret"
    missing = "ResourceNotFoundException"
    exists = "ResourceExistsException"

    def __init__(self, manager: SecretsManager, call: Call) -> None:
        super().__init__(manager.region, call)
        self._manager = manager

    def name(self, connection: Connection) -> str:
        return self._manager.secret_of(connection)

    def read(self, connection: Connection) -> str | None:
        answer = self.ask(connection, "get_secret_value", {"SecretId": self.name(connection)})
        if code_of(answer) == self.missing:
            return None
        self.refuse(connection, "get_secret_value", answer)
        return str(answer.get("SecretString") or "")

    def create(self, connection: Connection, text: str) -> str | None:
        answer = self.ask(connection, "create_secret", {"Name": self.name(connection), **_new(text)})
        if code_of(answer) != self.exists:
            self.refuse(connection, "create_secret", answer)
        return code_of(answer)

    def update(self, connection: Connection, text: str) -> None:
        answer = self.ask(connection, "put_secret_value", {"SecretId": self.name(connection), **_new(text)})
        self.refuse(connection, "put_secret_value", answer)

    def may_write(self, connection: Connection) -> None:
        """Ask for a new version without a value, which can't be made.

        Whether a secret may be created can't be asked: one without a value would be created.
        """
        answer = self.ask(connection, "put_secret_value", {"SecretId": self.name(connection)})
        if code_of(answer) not in (None, self.missing, "InvalidParameterException"):
            self.refuse(connection, "put_secret_value", answer)

    def refuse(self, connection: Connection, call: str, answer: Mapping[str, Any]) -> None:
        code = code_of(answer)
        if code == "InvalidRequestException":
            raise self.failed(connection, Reason.INVALID, "is scheduled for deletion", "Restore it (restore-secret)")
        if code in ("DecryptionFailure", "EncryptionFailure"):
            said = f"can't be used with its KMS key ({code})"
            raise self.failed(connection, Reason.DENIED, said, "Allow kms:Decrypt and kms:GenerateDataKey on that key")
        super().refuse(connection, call, answer)


def _new(text: str) -> dict[str, str]:
    # A token of the request's own: where its answer got lost, it can be asked for again without a second version.
    return {"SecretString": text, "ClientRequestToken": str(uuid.uuid4())}
