"""A stand-in for Amazon ECR and ECR Public, as boto3 speaks to them; STS says whose keys they are.

Point botocore at it with AWS_ENDPOINT_URL or `endpoint_url`. Signatures are read, not checked.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from . import script, sts
from .aws_faults import USUAL, Answer, AwsError, EcrFault, UnknownKey
from .exchange import Exchange, Reply
from .serving import StandIn
from .tokens import TokenBook

# X-Amz-Target's prefix, from botocore's service models
SERVICES = {"AmazonEC2ContainerRegistry_V20150921": "ecr", "SpencerFrontendService": "ecr-public"}
CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/\d{8}/([^/,\s]+)/([^/,\s]+)/aws4_request")
JSON_11 = "application/x-amz-json-1.1"


@dataclass(frozen=True, slots=True)
class EcrCall:
    """One call: when (seconds since the epoch), what, and by whom."""

    at: float
    action: str
    access_key: str
    region: str
    service: str = "ecr"


class EcrStandIn(StandIn):
    """ECR, ECR Public and STS (see `sts`) on one port; issues the tokens of its book.

    A token's principal in the book is `access key id/region`. `accounts` maps access key ids to account numbers,
    others belong to `account`. The `Date` header follows the book's clock unless a `clock` is given.
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
        super().__init__(host, port, tls=tls, clock=clock or book.clock, date_offset_s=date_offset_s)
        self.book = book
        self.account = account
        self.accounts: dict[str, str] = {}
        self.sts = sts.Sts(self.clock)
        self.calls: list[EcrCall] = []
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
        """Let one call in so many of that kind meet this fault, until `heal()`: a rate that is the same in each run."""
        self._script.every(nth, fault, {"action": action})

    def heal(self) -> None:
        """End every fault, scripted ones included."""
        super().heal()
        self._script.clear()

    def respond(self, exchange: Exchange) -> None:
        body = exchange.body()
        signed = CREDENTIAL.match(exchange.headers.get("Authorization", ""))
        asked = dict(parse_qsl(body.decode(errors="replace"))) if b"Action=" in body else {}
        if exchange.command != "POST" or exchange.path != "/":
            exchange.send(Reply(404, b"<UnknownOperationException/>\n", "application/xml"))
        elif signed is None and asked.get("Action") == "AssumeRoleWithWebIdentity":  # the token is its signature
            self._answer(exchange, EcrCall(self.clock(), asked["Action"], "", "", "sts"), body, asked)
        elif signed is None:
            exchange.send(_error(AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")))
        else:
            access_key, region, service = signed.groups()
            prefix, _, action = exchange.headers.get("X-Amz-Target", "").partition(".")
            if service == "sts":
                action = asked.get("Action", "")
            else:
                service = SERVICES.get(prefix, "")
            self._answer(exchange, EcrCall(self.clock(), action, access_key, region, service), body, asked)

    def _answer(self, exchange: Exchange, call: EcrCall, body: bytes, asked: dict[str, str]) -> None:
        self.calls.append(call)
        fault = self._script.take(
            _where(call.action, call.service, call.access_key, call.region),
        )
        if script.before(exchange, fault):
            return
        if isinstance(fault, AwsError):
            reply = sts.error(fault) if call.service == "sts" else _error(fault)
        elif not self.sts.vouches(call.access_key, exchange.headers.get("X-Amz-Security-Token")):
            reply = sts.error(UnknownKey()) if call.service == "sts" else _error(UnknownKey())
        elif call.service == "sts":
            reply = self.sts.answer(call.action, call.access_key, self._account_of(call), asked)
        else:
            reply = self._token(call, json.loads(body or b"{}"), fault if isinstance(fault, Answer) else Answer())
        script.after(exchange, fault, reply)

    def _account_of(self, call: EcrCall) -> str:
        return self.accounts.get(call.access_key, self.account)

    def _token(self, call: EcrCall, request: dict[str, Any], wrong: Answer) -> Reply:
        if call.action != "GetAuthorizationToken" or not call.service:
            return _error(AwsError("UnknownOperationException", "The stand-in knows GetAuthorizationToken only"))
        if call.service == "ecr-public" and call.region != "us-east-1":  # there is no other endpoint
            return _error(AwsError("InvalidSignatureException", "Credential should be scoped to a valid region."))
        token = self.book.issue(f"{call.access_key}/{call.region}", wrong.life_s)
        given: dict[str, object] = {
            "authorizationToken": token.authorization_token if wrong.token is USUAL else wrong.token,
            "expiresAt": token.expires_at if wrong.expires_at is USUAL else wrong.expires_at,
        }
        if call.service == "ecr-public":
            return _ok({"authorizationData": _without(given, wrong.missing)})
        # one token opens every registry; `registryIds` is deprecated and only changes what is listed
        hosts = [_host(account, call.region) for account in request.get("registryIds") or [self._account_of(call)]]
        listed = [_without({**given, "proxyEndpoint": f"https://{host}"}, wrong.missing) for host in hosts]
        return _ok({"authorizationData": listed})


def _where(action: str, service: str | None, access_key: str | None, region: str | None) -> dict[str, str]:
    where = {"action": action, "service": service, "access_key": access_key, "region": region}
    return {name: value for name, value in where.items() if value is not None}


def _without(fields: dict[str, object], missing: tuple[str, ...]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name not in missing}


def _host(account: str, region: str) -> str:
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{account}.dkr.ecr.{region}.{domain}"


def _ok(value: object) -> Reply:
    return Reply(200, json.dumps(value).encode(), JSON_11, {"x-amzn-RequestId": str(uuid.uuid4())})


def _error(error: AwsError) -> Reply:
    body = json.dumps({"__type": error.code, "message": error.message}).encode()
    return Reply(error.status, body, JSON_11, {"x-amzn-RequestId": str(uuid.uuid4())})
