"""Tokens of Amazon ECR, private and public, and the host of the caller's own registry."""

import base64
import binascii
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ... import logs
from ...core import budgets
from ...core.ecr import host as ecr_host
from ...core.model import Credential, Failed, Reason, Secret
from ...core.plan import PUBLIC, Principal
from .clients import Aws
from .clock import AwsClock
from .errors import Doing

USERNAME = "AWS"
LIFE_MAX_S = 30 * 86400.0  # ECR grants 12 hours


def fetch(aws: Aws, clock: AwsClock, principal: Principal) -> Credential:
    """Fetch one token: it opens every registry that the principal may use in its region. Raises Failed.

    `registryIds` is deprecated and not sent: without it the token is as good for other accounts' registries.
    """
    answer = aws.call(_fetching(principal), principal, principal.service, "get_authorization_token")
    return credential_from(answer, clock.now(), public=principal.service == PUBLIC)


def _fetching(principal: Principal) -> Doing:
    if principal.service == PUBLIC:
        on = "and sts:GetServiceBearerToken on *"
        return Doing("fetching a token from ECR Public", principal.region, "ecr-public:GetAuthorizationToken", on)
    what = f"fetching a token from ECR in {principal.region}"
    return Doing(what, principal.region, "ecr:GetAuthorizationToken", "on *")


def own_host(aws: Aws, principal: Principal) -> str:
    """The host of the caller's own registry in a region: STS says it and needs no right, else ECR. Raises Failed."""
    doing = Doing("asking STS for the caller's account", principal.region, "sts:GetCallerIdentity", "on *")
    try:
        account = aws.call(doing, principal, "sts", "get_caller_identity")["Account"]
        return str(ecr_host.of_account(account, principal.region))
    except (Failed, KeyError):
        # On a network that lets only ECR through, the answer with the token names the registry as well.
        answer = aws.call(_fetching(principal), principal, "ecr", "get_authorization_token")
        endpoint = (_first(answer.get("authorizationData")) or {}).get("proxyEndpoint")
        try:
            return str(ecr_host.parse(str(endpoint).partition("://")[2].rstrip("/")))
        except ValueError:
            raise _invalid("names no registry", "Name the registry under 'registries' in the settings") from None


def credential_from(answer: Mapping[str, Any], now: float, *, public: bool = False) -> Credential:
    """Read the answer of GetAuthorizationToken; ECR Public's has one object where ECR's has a list.

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
    # Cut to whole seconds, the resolution of an Airflow marker: all slots then name the same moment.
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
    if username != USERNAME:
        raise _invalid("holds a token of another user than AWS")
    # A word or a sentence would be masked as a secret in every message of this process, those about others too.
    if len(password) < budgets.TOKEN_MIN or not all("!" <= character <= "~" for character in password):
        raise _invalid(f"holds no token but a password with blanks, or of less than {budgets.TOKEN_MIN} characters")
    logs.hide(Secret(token))
    return logs.hide(Secret(password))


def _invalid(what: str, fix: str = "Look for a proxy or a test endpoint in between") -> Failed:
    return Failed(Reason.INVALID, f"ECR's answer {what}, so the old token stays", fix)
