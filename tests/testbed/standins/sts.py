"""STS as the stand-in for ECR answers it: who somebody is, and roles taken on, each by those it trusts alone.

moto's STS lets anybody take on anything; this one wants the trusted identity, the external id and the web token.
"""

from __future__ import annotations

import datetime as dt
import secrets
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from .aws_faults import AwsError
from .serving import Reply

XMLNS = "https://sts.amazonaws.com/doc/2011-06-15/"
ANYBODY = "*"


@dataclass(frozen=True, slots=True)
class TrustedRole:
    """Whom a role trusts: an access key id, the ARN of another role, or anybody; under which conditions."""

    trusted: str = ANYBODY
    external_id: str | None = None
    web_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RoleSession:
    """A role as somebody took it on."""

    role_arn: str
    name: str
    by: str  # the access key id, or the role's ARN, of whoever did
    secret_key: str = field(repr=False)
    token: str = field(repr=False)


class Sts:
    """Roles and their sessions; thread-safe. `life_s` is how long keys to come are good."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.life_s = 3600.0
        self.roles: dict[str, TrustedRole] = {}
        self.sessions: dict[str, RoleSession] = {}  # by access key id
        self._lock = threading.Lock()

    def vouches(self, access_key: str, token: str | None) -> bool:
        """Whether a request with these keys is in order; keys that this STS did not give are not its business."""
        session = self.sessions.get(access_key)
        return session is None or session.token == token

    def who(self, access_key: str) -> str:
        """The role behind temporary keys, else the access key id itself."""
        session = self.sessions.get(access_key)
        return session.role_arn if session else access_key

    def secrets(self) -> list[str]:
        """Every secret key and session token that was given out."""
        return [secret for session in list(self.sessions.values()) for secret in (session.secret_key, session.token)]

    def answer(self, action: str, access_key: str, account: str, asked: Mapping[str, str]) -> Reply:
        """Answer one call; `asked` has the parameters of its form."""
        match action:
            case "GetCallerIdentity":
                return _identity(account, access_key)
            case "AssumeRole":
                return self._assume(self.who(access_key), asked)
            case "AssumeRoleWithWebIdentity":
                return self._assume_by_web_token(asked)
        return error(AwsError("InvalidAction", "The stand-in knows GetCallerIdentity and AssumeRole only"))

    def _assume(self, by: str, asked: Mapping[str, str]) -> Reply:
        arn = asked.get("RoleArn", "")
        role = self.roles.get(arn)
        trusted = role is not None and role.trusted in (ANYBODY, by) and role.web_token is None
        if role is None or not trusted or role.external_id not in (None, asked.get("ExternalId")):
            who = by if by.startswith("arn:") else f"arn:aws:iam::123456789012:user/{by}"
            return error(
                AwsError("AccessDenied", f"User: {who} is not authorized to perform: sts:AssumeRole on {arn}", 403)
            )
        return self._granted("AssumeRole", arn, asked, by)

    def _assume_by_web_token(self, asked: Mapping[str, str]) -> Reply:
        arn = asked.get("RoleArn", "")
        role = self.roles.get(arn)
        if role is None or role.web_token is None:
            return error(
                AwsError("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403),
            )
        if role.web_token != asked.get("WebIdentityToken"):
            return error(AwsError("InvalidIdentityToken", "The ID Token provided is not a valid JWT."))
        return self._granted("AssumeRoleWithWebIdentity", arn, asked, "web identity")

    def _granted(self, action: str, arn: str, asked: Mapping[str, str], by: str) -> Reply:
        key = "ASIA" + secrets.token_hex(8).upper()
        session = RoleSession(
            arn, asked.get("RoleSessionName", ""), by, secrets.token_urlsafe(30), secrets.token_urlsafe(300)
        )
        with self._lock:
            self.sessions[key] = session
        expires = dt.datetime.fromtimestamp(self.clock() + self.life_s, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        assumed = arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/")
        return _ok(
            action,
            f"<AssumedRoleUser><AssumedRoleId>AROA:{escape(session.name)}</AssumedRoleId>"
            f"<Arn>{escape(assumed)}/{escape(session.name)}</Arn></AssumedRoleUser><Credentials>"
            f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{session.secret_key}</SecretAccessKey>"
            f"<SessionToken>{session.token}</SessionToken><Expiration>{expires}</Expiration></Credentials>",
        )


def error(fault: AwsError) -> Reply:
    """An error in STS's own form."""
    kind = "Sender" if fault.status < 500 else "Receiver"
    # the query protocol's codes have no such ending: AccessDenied, ExpiredToken, Throttling
    code = fault.code.removesuffix("Exception")
    return _xml(
        fault.status,
        f'<ErrorResponse xmlns="{XMLNS}"><Error><Type>{kind}</Type><Code>{code}</Code>'
        f"<Message>{escape(fault.message)}</Message></Error><RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>",
    )


def _identity(account: str, access_key: str) -> Reply:
    return _ok(
        "GetCallerIdentity",
        f"<Arn>arn:aws:iam::{account}:user/{access_key}</Arn><UserId>{access_key}</UserId><Account>{account}</Account>",
    )


def _ok(action: str, result: str) -> Reply:
    return _xml(
        200,
        f'<{action}Response xmlns="{XMLNS}"><{action}Result>{result}</{action}Result><ResponseMetadata>'
        f"<RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{action}Response>",
    )


def _xml(status: int, text: str) -> Reply:
    return Reply(status, text.encode(), "text/xml")
