"""What botocore's errors mean: a reason, what happened to what, and the mend. Nothing secret gets in.

AWS's own messages are not passed on: they may quote the request. What is taken from them is the caller's ARN.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import botocore.exceptions as boto

from ...core import partitions
from ...core.model import Failed, Reason
from . import credential_sources

SKEW_TOLERATED_S = 240.0  # AWS refuses signatures that are five minutes off

_THROTTLED = {
    *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException"),
    *("RequestLimitExceeded", "TooManyRequestsException", "LimitExceededException", "SlowDown"),
}
_FORBIDDEN = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"}
_KEY_UNKNOWN = {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "AuthFailure"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException"}
_SIGNATURE = {"SignatureDoesNotMatch", "InvalidSignatureException"}
_CLOCK = {"RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"}
_REGION_OFF = {"OptInRequired", "RegionDisabledException", "RegionDisabled"}
_WEB_TOKEN = {"InvalidIdentityToken", "InvalidIdentityTokenException", "IDPRejectedClaim", "IDPRejectedClaimException"}


@dataclass(frozen=True, slots=True)
class Doing:
    """What was being done when AWS said no: for the message, and for the mend."""

    what: str
    region: str
    allow: str  # what to allow if it was not allowed
    profile: str | None = None


def explain(doing: Doing, error: Exception, *, skew_s: float, pause: str) -> Failed:
    """Give the failure for any exception that botocore lets out. `pause` says when the next try comes."""
    match error:
        case boto.ClientError():
            return _refusal(doing, error, skew_s, pause)
        case boto.BotoCoreError():
            return _trouble(doing, error)
        case OSError() if error.filename:  # web identity's or pod identity's token file
            mend = "mount it, or correct AWS_WEB_IDENTITY_TOKEN_FILE or AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
            return Failed(
                Reason.MISSING, f"{doing.what}: the file {error.filename} can't be read ({error.strerror}); {mend}"
            )
    # botocore's parsers let plain errors out when an answer makes no sense (a date of the year 99999, say)
    return Failed(Reason.INVALID, f"{doing.what}: the answer makes no sense ({type(error).__name__})")


def _refusal(doing: Doing, error: boto.ClientError, skew_s: float, pause: str) -> Failed:
    answer: Any = error.response
    code = re.sub(r"[^\w.-]", "", str(answer.get("Error", {}).get("Code", "")))[:80]
    said = str(answer.get("Error", {}).get("Message", ""))
    meta = answer.get("ResponseMetadata", {})
    status = meta.get("HTTPStatusCode", 0)
    what = _what(doing, error)
    if code in _THROTTLED or status == 429:
        after = meta.get("HTTPHeaders", {}).get("retry-after", "")
        asked = f"; it asks for a pause of {after} s" if re.fullmatch(r"\d{1,5}", after) else ""
        return Failed(Reason.THROTTLED, f"{what}: AWS asks for fewer requests ({code}){asked}; {pause}")
    if code in _CLOCK or (code in _SIGNATURE and abs(skew_s) > SKEW_TOLERATED_S):
        return Failed(
            Reason.DENIED,
            f"{what}: this machine's clock is {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} AWS's, so "
            f"AWS refuses its signatures ({code}); set it right (chronyc tracking, timedatectl)",
        )
    if "scoped to a valid region" in said:
        return Failed(
            Reason.INVALID,
            f"{what}: wrong region: the endpoint is not that of {doing.region} ({code}); "
            "correct endpoint_url, AWS_ENDPOINT_URL_ECR or the registry's host",
        )
    if code in _REGION_OFF or (code in _KEY_UNKNOWN and partitions.is_opt_in(doing.region)):
        sure = "is" if code in _REGION_OFF else "may be"
        return Failed(
            Reason.DENIED,
            f"{what}: the opt-in region {doing.region} {sure} switched off for this account ({code}); enable it "
            "(aws account enable-region)" + ("" if code in _REGION_OFF else ", or check the access key"),
        )
    if mend := _denied(doing, error, code, said):
        return Failed(Reason.DENIED, f"{what}: {mend}")
    if status >= 500:
        return Failed(Reason.TRANSIENT, f"{what}: AWS answered {status} ({code or 'no code'})")
    return Failed(Reason.INVALID, f"{what}: AWS answered {status} ({code or 'no code'})")


def _what(doing: Doing, error: boto.ClientError) -> str:
    """botocore itself takes on roles, of a profile or a web identity, before it can do what was asked."""
    if error.operation_name == "AssumeRoleWithWebIdentity":
        return f"{doing.what}: taking on the web identity's role (AWS_ROLE_ARN)"
    if error.operation_name == "AssumeRole" and "role" not in doing.what:
        return f"{doing.what}: taking on the role of the profile '{doing.profile or 'default'}'"
    return doing.what


def _denied(doing: Doing, error: boto.ClientError, code: str, said: str) -> str | None:
    if code in _FORBIDDEN:
        # "User: ARN is not authorized to perform: …": who was turned away is half of the mend.
        who = re.search(r"(?:User|Role|Principal): (arn:aws[\w-]*:[\w-]+::\d{12}:[\w+=,.@/-]{1,200})", said)
        name = who[1] if who else "the identity"
        if error.operation_name == "AssumeRoleWithWebIdentity":
            return f"the role does not trust this token ({code}); correct its trust policy, or the service account"
        return f"{name} may not do this ({code}); allow {doing.allow}"
    if code in _WEB_TOKEN:
        return f"AWS does not take the web identity's token ({code}); see the account's identity provider for it"
    if code in _KEY_UNKNOWN:
        return f"AWS does not know the access key ({code}); see which is found first (aws sts get-caller-identity)"
    if code in _EXPIRED:
        return f"the AWS session has expired ({code}); renew it, or use a role that renews itself"
    if code in _SIGNATURE:
        return f"the secret key is wrong ({code}); check what botocore finds first (aws sts get-caller-identity)"
    return None


def _trouble(doing: Doing, error: boto.BotoCoreError) -> Failed:
    what, kind = doing.what, type(error).__name__
    match error:
        case boto.NoCredentialsError():
            found = credential_sources.tried(profile=doing.profile)
            return Failed(
                Reason.MISSING, f"{what}: no AWS credentials were found; tried: {found}; {credential_sources.mend()}"
            )
        case boto.PartialCredentialsError():
            return Failed(Reason.MISSING, f"{what}: only a part of an access key is set; give key id and secret")
        case boto.ProfileNotFound():
            name = re.sub(r"[^\w.@/ -]", "?", str(error.kwargs.get("profile", "")))[:100]
            return Failed(
                Reason.MISSING, f"{what}: there is no AWS profile '{name}'; correct it, or see AWS_CONFIG_FILE"
            )
        case boto.TokenRetrievalError() | boto.SSOError():
            login = f"aws sso login --profile {doing.profile}" if doing.profile else "aws sso login"
            return Failed(Reason.DENIED, f"{what}: the SSO login has expired ({kind}); run '{login}'")
        case boto.CredentialRetrievalError() | boto.MetadataRetrievalError():
            source = re.sub(r"[^\w -]", "", str(error.kwargs.get("provider", "a metadata service")))[:60]
            return Failed(
                Reason.TRANSIENT, f"{what}: {source} gave no credentials ({kind}); {credential_sources.mend()}"
            )
        case boto.SSLError() | boto.HTTPClientError() | boto.ConnectionError():
            return _unreachable(doing, error)
        case boto.NoRegionError():
            return Failed(Reason.INVALID, f"{what}: no region is set for AWS's STS; set AWS_REGION")
    if "Endpoint" in kind:  # FIPS or dual-stack with an endpoint of one's own, or where there is none
        return Failed(
            Reason.INVALID,
            f"{what}: no such endpoint ({kind}); see use_fips, use_dualstack and AWS_ENDPOINT_URL",
        )
    if "ParserError" in kind:
        return Failed(Reason.INVALID, f"{what}: the answer makes no sense ({kind})")
    if "Config" in kind or "Profile" in kind or "Validation" in kind or "NotFound" in kind:
        return Failed(Reason.INVALID, f"{what}: AWS's configuration is wrong ({kind}); see AWS_CONFIG_FILE")
    return Failed(Reason.TRANSIENT, f"{what}: {kind}")


def _unreachable(doing: Doing, error: boto.BotoCoreError) -> Failed:
    """DNS, connecting, TLS and waiting apart: each has another mend."""
    host = urlsplit(str(error.kwargs.get("endpoint_url", ""))).hostname or "the endpoint"
    inner = " ".join(type(cause).__name__ + " " + str(cause)[:300] for cause in _causes(error))
    if isinstance(error, boto.SSLError):
        why = "it has a certificate that is not trusted here" if "CERTIFICATE_VERIFY" in inner else "no common terms"
        return Failed(
            Reason.INVALID,
            f"{doing.what}: TLS with {host} failed: {why}; give its CA as ca_file or in AWS_CA_BUNDLE "
            "(a proxy in between has its own)",
        )
    if isinstance(error, boto.ProxyConnectionError):
        return Failed(Reason.TRANSIENT, f"{doing.what}: the proxy could not be reached; see HTTPS_PROXY and NO_PROXY")
    if "NameResolutionError" in inner or "gaierror" in inner:
        return Failed(
            Reason.TRANSIENT,
            f"{doing.what}: DNS knows no {host}; is the region {doing.region} right, has it this kind of endpoint "
            "(use_fips, use_dualstack), does this network have a resolver?",
        )
    if isinstance(error, boto.ReadTimeoutError):
        return Failed(Reason.TRANSIENT, f"{doing.what}: {host} took the request and did not answer in time")
    if isinstance(error, boto.ConnectTimeoutError | boto.EndpointConnectionError):
        how = "in time" if isinstance(error, boto.ConnectTimeoutError) else "(refused or no route)"
        return Failed(
            Reason.TRANSIENT,
            f"{doing.what}: no connection to {host} {how}; see security groups, VPC endpoints and HTTPS_PROXY",
        )
    return Failed(Reason.TRANSIENT, f"{doing.what}: the connection to {host} broke ({type(error).__name__})")


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what is wrapped in it, by botocore (`error`), urllib3 (`reason`) or Python."""
    found: list[BaseException] = []
    todo: list[Any] = [error]
    while todo and len(found) < 10:
        one = todo.pop()
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            todo += [getattr(one, "kwargs", {}).get("error"), getattr(one, "reason", None), one.__cause__]
    return found
