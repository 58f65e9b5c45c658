"""Connections in SSM's Parameter Store, as the amazon provider's SystemsManagerParameterStoreBackend reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .....core.model import Reason
from .....core.plan import Connection, ParameterStore
from .aws_store import AwsStore, Call, code_of

_KEPT = ("KeyId", "Description", "AllowedPattern")  # a new version gets the defaults of those that it does not name


class ParameterStoreSink(AwsStore):
    """The parameters under one prefix. Tokens of ECR need the advanced tier: a standard parameter holds 4 KB."""

    word = "parameter"
    size_max = 8192
    rights = "ssm:GetParameter and ssm:PutParameter on it, ssm:DescribeParameters"
    missing = "ParameterNotFound"
    exists = "ParameterAlreadyExists"

    def __init__(self, store: ParameterStore, call: Call) -> None:
        super().__init__(store.region, call)
        self._store = store

    def name(self, connection: Connection) -> str:
        return self._store.parameter_of(connection)

    def read(self, connection: Connection) -> str | None:
        answer = self.ask(connection, "get_parameter", {"Name": self.name(connection), "WithDecryption": True})
        if code_of(answer) == self.missing:
            return None
        self.refuse(connection, "get_parameter", answer)
        return str((answer.get("Parameter") or {}).get("Value") or "")

    def create(self, connection: Connection, text: str) -> str | None:
        answer = self._put(connection, text, {})
        if code_of(answer) != self.exists:
            self.refuse(connection, "put_parameter", answer)
        return code_of(answer)

    def update(self, connection: Connection, text: str) -> None:
        """Write a new version that keeps the key, the description and the pattern of the one before."""
        named = {"Key": "Name", "Option": "Equals", "Values": [self.name(connection)]}
        answer = self.ask(connection, "describe_parameters", {"ParameterFilters": [named]})
        self.refuse(connection, "describe_parameters", answer)
        found: Mapping[str, Any] = next(iter(answer.get("Parameters") or []), {})
        if found.get("Type", "SecureString") != "SecureString":
            said = f"is a {found['Type']}, and AWS changes no parameter's type"
            raise self.failed(connection, Reason.INVALID, said, "Delete it, so that it is created as a SecureString")
        kept = {name: found[name] for name in _KEPT if found.get(name)}
        self.refuse(connection, "put_parameter", self._put(connection, text, {**kept, "Overwrite": True}))

    def may_write(self, connection: Connection) -> None:
        """Ask to create the parameter where it is there already, which can't be done."""
        if self.read(connection) is not None and code_of(answer := self._put(connection, "no", {})) != self.exists:
            self.refuse(connection, "put_parameter", answer)

    def _put(self, connection: Connection, text: str, more: Mapping[str, Any]) -> Mapping[str, Any]:
        request = {"Name": self.name(connection), "Value": text, "Type": "SecureString", "Tier": "Intelligent-Tiering"}
        return self.ask(connection, "put_parameter", {**request, **more})
