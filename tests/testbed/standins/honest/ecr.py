"""A stand-in for Amazon ECR and ECR Public, as boto3 calls them.

Point botocore at it with AWS_ENDPOINT_URL or `endpoint_url`. It reads signatures but does not check them.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

from ..tokens import TokenBook
from .server import Exchange, Reply, StandIn

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
    """ECR and ECR Public on one port; issues the tokens of its book.

    A token's principal in the book is `access key id/region`. The `Date` header follows the book's clock unless
    another clock is given.
    """

    def __init__(self, book: TokenBook, account: str = "123456789012", **options: Any) -> None:
        super().__init__(**{"clock": book.clock, **options})
        self.book = book
        self.account = account
        self.calls: list[EcrCall] = []

    def respond(self, exchange: Exchange) -> None:
        body = exchange.body()
        if exchange.command != "POST" or exchange.path != "/":
            exchange.send(Reply(404, b"<UnknownOperationException/>\n", "application/xml"))
        elif (call := self.call_of(exchange.headers, body)) is None:
            exchange.send(error("MissingAuthenticationTokenException", "Missing Authentication Token"))
        else:
            self.calls.append(call)
            self.answer(exchange, call, body)

    def call_of(self, headers: Message, body: bytes) -> EcrCall | None:
        """Read who calls what; None for an unsigned call."""
        signed = CREDENTIAL.match(headers.get("Authorization", ""))
        if signed is None:
            return None
        access_key, region, service = signed.groups()
        prefix, _, action = headers.get("X-Amz-Target", "").partition(".")
        return EcrCall(self.clock(), action, access_key, region, SERVICES.get(prefix, service))

    def answer(self, exchange: Exchange, call: EcrCall, body: bytes) -> None:
        """Answer a signed call."""
        exchange.send(self.token(call, json.loads(body or b"{}")))

    def account_of(self, access_key: str) -> str:
        """Return the account that a key belongs to."""
        return self.account

    def token(self, call: EcrCall, request: Mapping[str, Any], life_s: float | None = None) -> Reply:
        """Issue a token; `life_s` overrides the book's life."""
        if call.action != "GetAuthorizationToken" or call.service not in SERVICES.values():
            return error("UnknownOperationException", "The stand-in knows GetAuthorizationToken only")
        if call.service == "ecr-public" and call.region != "us-east-1":  # there is no other endpoint
            return error("InvalidSignatureException", "Credential should be scoped to a valid region.")
        token = self.book.issue(f"{call.access_key}/{call.region}", life_s)
        given = {"authorizationToken": token.authorization_token, "expiresAt": token.expires_at}
        if call.service == "ecr-public":
            return _ok({"authorizationData": given})
        # One token opens every registry. `registryIds` is deprecated and only changes what is listed.
        accounts = request.get("registryIds") or [self.account_of(call.access_key)]
        listed = [{**given, "proxyEndpoint": f"https://{_host(account, call.region)}"} for account in accounts]
        return _ok({"authorizationData": listed})


def error(code: str, message: str, status: int = 400) -> Reply:
    """Build an error of the AWS JSON protocol."""
    body = json.dumps({"__type": code, "message": message}).encode()
    return Reply(status, body, JSON_11, {"x-amzn-RequestId": str(uuid.uuid4())})


def _host(account: str, region: str) -> str:
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{account}.dkr.ecr.{region}.{domain}"


def _ok(value: object) -> Reply:
    return Reply(200, json.dumps(value).encode(), JSON_11, {"x-amzn-RequestId": str(uuid.uuid4())})
