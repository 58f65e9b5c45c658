"""Tokens of Amazon ECR, private and public, and the host of the caller's own registry."""

from __future__ import annotations

import base64
import binascii
import math
from datetime import datetime
from typing import Any

from ... import logs
from ...core import partitions
from ...core.ecr_host import EcrHost
from ...core.model import Credential, Failed, Reason, Secret
from ...core.plan import PUBLIC, Principal
from .clients import Aws
from .clock import AwsClock
from .errors import Doing

USERNAME = "AWS"
LIFE_MAX_S = 30 * 86400.0  # ECR grants 12 hours; what claims more than this is no expiry to plan by


def fetch(aws: Aws, clock: AwsClock, principal: Principal) -> Credential:
    """Ask for one token: it opens every registry of the principal in its region.

    `registryIds` is deprecated and not sent: without it the token is just as good for other accounts' registries.
    Raises Failed.
    """
    with aws.client(principal, principal.service) as client:
        answer = aws.call(_asking(principal), client.get_authorization_token)
    return credential_from(answer, clock.now(), public=principal.service == PUBLIC)


def _asking(principal: Principal) -> Doing:
    if principal.service == PUBLIC:
        allow = "ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken on *"
        return Doing("asking ECR Public for a token", principal.region, allow, principal.profile)
    return Doing(
        f"asking ECR in {principal.region} for a token",
        principal.region,
        "ecr:GetAuthorizationToken on *",
        principal.profile,
    )


def own_host(aws: Aws, principal: Principal) -> str:
    """Find out the host of the caller's own registry in a region: by STS, which needs no right, else by ECR.

    Raises Failed.
    """
    doing = Doing("asking STS whose account this is", principal.region, "sts:GetCallerIdentity on *", principal.profile)
    try:
        with aws.client(principal, "sts") as sts:
            account = aws.call(doing, sts.get_caller_identity)["Account"]
        partition = partitions.of_region(principal.region) or partitions.PARTITIONS[0]
        return str(EcrHost(account, principal.region, partition.suffix))
    except (Failed, KeyError):
        # A network that lets only ECR through: the token's own answer names the registry as well.
        with aws.client(principal, "ecr") as ecr:
            answer = aws.call(_asking(principal), ecr.get_authorization_token)
        endpoint = (_first(answer.get("authorizationData")) or {}).get("proxyEndpoint")
        if not isinstance(endpoint, str) or "://" not in endpoint:
            raise _invalid("names no registry; name it under 'registries' in the settings") from None
        return endpoint.split("://", 1)[1].rstrip("/")


def credential_from(answer: dict[str, Any], now: float, *, public: bool = False) -> Credential:
    """Read GetAuthorizationToken's answer; ECR Public's has one object where ECR's has a list.

    Raises Failed (`invalid`) that says what is wrong, and nothing of the token.
    """
    granted = answer.get("authorizationData")
    grant = granted if public else _first(granted)
    if not isinstance(grant, dict):
        raise _invalid("holds no token")
    secret = _password(grant.get("authorizationToken"))
    expires = grant.get("expiresAt")
    if not isinstance(expires, datetime):
        raise _invalid("says no expiry")
    # Cut to whole seconds: an Airflow marker records no finer ones, and all slots shall speak of the same moment.
    try:
        expires_at = float(math.floor(expires.timestamp()))
    except (ValueError, OverflowError):  # a year that no clock reaches
        raise _invalid("says an expiry that makes no sense") from None
    if expires_at <= now:
        raise _invalid(f"expired {now - expires_at:.0f} s ago by AWS's own clock")
    if expires_at - now > LIFE_MAX_S:
        raise _invalid("claims to live for more than 30 days")
    return Credential(USERNAME, secret, issued_at=now, expires_at=expires_at)


def _first(granted: object) -> dict[str, Any] | None:
    return granted[0] if isinstance(granted, list) and granted and isinstance(granted[0], dict) else None


def _password(token: object) -> Secret:
    if not isinstance(token, str) or not token:
        raise _invalid("holds no token")
    try:
        username, colon, password = base64.b64decode(token, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise _invalid("holds a token that is not base64") from None
    if not colon:
        raise _invalid("holds a token without a colon between user and password")
    if username != USERNAME or not password.strip():
        raise _invalid("holds a token without the user AWS, or without a password")
    logs.hide(Secret(token))
    return logs.hide(Secret(password))


def _invalid(what: str) -> Failed:
    return Failed(
        Reason.INVALID, f"ECR's answer {what}; what was there before stays. Is a proxy or test endpoint in between?"
    )
