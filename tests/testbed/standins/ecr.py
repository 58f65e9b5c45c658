"""The stand-in for ECR with STS beside it, and with faults by script."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl

from . import script, sts
from .aws_faults import USUAL, Answer, AwsError, EcrFault, UnknownKey
from .honest import ecr, server
from .honest.ecr import JSON_11, EcrCall
from .honest.server import Reply
from .serving import StandIn
from .tokens import TokenBook

__all__ = ["JSON_11", "EcrCall", "EcrStandIn"]


class EcrStandIn(StandIn, ecr.EcrStandIn):
    """ECR, ECR Public and STS (see `sts`) on one port; issues the tokens of its book.

    `accounts` maps access key ids to account numbers; other keys belong to `account`.
    """

    def __init__(
        self,
        book: TokenBook,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: tuple[str, str] | None = None,
        account: str = "123456789012",
        clock: Callable[[], float] | None = None,
        date_offset_s: float = 0.0,
    ) -> None:
        super().__init__(
            book, account, host=host, port=port, tls=tls, clock=clock or book.clock, date_offset_s=date_offset_s
        )
        self.accounts: dict[str, str] = {}
        self.sts = sts.Sts(self.clock)
        self._script = script.Script[EcrFault]()

    def next(
        self,
        *faults: EcrFault,
        action: str = "GetAuthorizationToken",
        service: str | None = None,
        access_key: str | None = None,
        region: str | None = None,
    ) -> None:
        """Let the next calls of that kind meet these faults, one each."""
        self._script.next(faults, _where(action, service, access_key, region))

    def always(
        self,
        fault: EcrFault,
        *,
        action: str = "GetAuthorizationToken",
        service: str | None = None,
        access_key: str | None = None,
        region: str | None = None,
    ) -> None:
        """Let all calls of that kind meet this fault, until `heal()`."""
        self._script.always(fault, _where(action, service, access_key, region))

    def every(self, nth: int, fault: EcrFault, *, action: str = "GetAuthorizationToken") -> None:
        """Let one call in so many of that kind meet this fault, until `heal()`: the same rate in each run."""
        self._script.every(nth, fault, {"action": action})

    def heal(self) -> None:
        super().heal()
        self._script.clear()

    def respond(self, exchange: server.Exchange) -> None:
        ecr.EcrStandIn.respond(self, exchange)

    def call_of(self, headers: Message, body: bytes) -> EcrCall | None:
        call, asked = super().call_of(headers, body), _form(body)
        if call is None and asked.get("Action") == "AssumeRoleWithWebIdentity":  # its token is its signature
            return EcrCall(self.clock(), asked["Action"], "", "", "sts")
        return replace(call, action=asked.get("Action", "")) if call and call.service == "sts" else call

    def answer(self, exchange: server.Exchange, call: EcrCall, body: bytes) -> None:
        fault = self._script.take(_where(call.action, call.service, call.access_key, call.region))
        if script.before(exchange, fault):
            return
        error = sts.error if call.service == "sts" else _error
        if isinstance(fault, AwsError):
            reply = error(fault)
        elif not self.sts.vouches(call.access_key, exchange.headers.get("X-Amz-Security-Token")):
            reply = error(UnknownKey())
        elif call.service == "sts":
            reply = self.sts.answer(call.action, call.access_key, self.account_of(call.access_key), _form(body))
        else:
            wrong = fault if isinstance(fault, Answer) else Answer()
            reply = _spoiled(self.token(call, json.loads(body or b"{}"), wrong.life_s), wrong)
        script.after(exchange, fault, reply)

    def account_of(self, access_key: str) -> str:
        return self.accounts.get(access_key, self.account)


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode(errors="replace"))) if b"Action=" in body else {}


def _where(action: str, service: str | None, access_key: str | None, region: str | None) -> dict[str, str]:
    where = {"action": action, "service": service, "access_key": access_key, "region": region}
    return {name: value for name, value in where.items() if value is not None}


def _error(fault: AwsError) -> Reply:
    return ecr.error(fault.code, fault.message, fault.status)


def _spoiled(reply: Reply, wrong: Answer) -> Reply:
    """Put the fault's own fields into a good answer."""
    if reply.status != 200:
        return reply
    changed = {
        name: value
        for name, value in (("authorizationToken", wrong.token), ("expiresAt", wrong.expires_at))
        if value is not USUAL
    }

    def spoil(given: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in {**given, **changed}.items() if name not in wrong.missing}

    given = json.loads(reply.body)["authorizationData"]
    spoiled = [spoil(one) for one in given] if isinstance(given, list) else spoil(given)
    return replace(reply, body=json.dumps({"authorizationData": spoiled}).encode())
