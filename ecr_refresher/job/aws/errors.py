"""What the errors of AWS's calls mean: a reason, a message and a fix.

AWS's own messages are not passed on, since they may quote the request. Taken from them are the caller's ARN, the action
that was denied, and the kind of policy that denied it.
"""

import re
from dataclasses import dataclass
from typing import Any

import botocore.exceptions as boto
from msgspec import structs

from ...core.ecr import partitions
from ...core.model import Failed, Reason
from ..net import http

SKEW_TOLERATED_S = 240.0  # AWS refuses signatures that are five minutes off

_THROTTLED = {
    *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException"),
    *("RequestLimitExceeded", "TooManyRequestsException", "LimitExceededException", "SlowDown"),
}
_SIGNATURE = {"SignatureDoesNotMatch", "InvalidSignatureException"}
_CLOCK = {"RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"}
_ELSEWHERE = "Look for a proxy or a test endpoint in between"

# AWS's message: "User: ARN is not authorized to perform: ACTION on resource: … with an explicit deny in a KIND", or
# "… because no KIND allows the ACTION action" (IAM user guide, "Troubleshoot access denied error messages").
_WHO = re.compile(r"(?:User|Role|Principal): (arn:aws[\w-]*:[\w-]+::\d{12}:[\w+=,.@/-]{1,200})")
_ACTION = re.compile(r"perform: ([a-z0-9-]{2,30}:[A-Za-z]{3,60})\b")
_POLICY = re.compile(r"(explicit deny in an?|because no) ([A-Za-z -]{4,40}?(?:policy|boundary))\b")
_WHOSE_POLICY = {
    "service control policy": "Have the organization's administrators change that policy (SCP)",
    "resource control policy": "Have the organization's administrators change that policy (RCP)",
    "permissions boundary": "Allow {action} in the permissions boundary of the identity",
    "VPC endpoint policy": "Allow {action} in the policy of the VPC endpoint that this network uses",
    "session policy": "Allow {action} in the policy that is given where the role is assumed",
}


@dataclass(frozen=True, slots=True)
class Doing:
    """What was being done when AWS refused: for the message, and for the fix."""

    what: str
    region: str
    action: str = ""  # the IAM action that it takes
    allowed: str = ""  # to whom and on what it must be allowed

    @property
    def allow(self) -> str:
        return f"Allow {self.action} {self.allowed}".strip() if self.action else "See the policies of the identity"


def explain(doing: Doing, error: Exception, *, skew_s: float) -> Failed:
    """Return the failure for any exception that botocore lets out."""
    match error:
        case Failed():
            return Failed.of(structs.replace(error.failure, message=f"{doing.what}: {error.failure.message}"))
        case boto.ClientError():
            return _refused(doing, error, skew_s)
        case boto.NoRegionError() | boto.InvalidRegionError():
            return Failed(Reason.INVALID, f"{doing.what}: no region is set for AWS's STS", "Set AWS_REGION")
    kind = type(error).__name__
    if isinstance(error, boto.BotoCoreError) and "Endpoint" in kind:
        # FIPS or dual-stack with an endpoint of its own, or where AWS has none
        message = f"{doing.what}: there is no such endpoint ({kind})"
        return Failed(Reason.INVALID, message, "Correct use_fips, use_dualstack or AWS_ENDPOINT_URL")
    if isinstance(error, boto.BotoCoreError) and re.search("Config|Profile|Validation|NotFound", kind):
        message = f"{doing.what}: AWS's configuration is wrong ({kind})"
        return Failed(Reason.INVALID, message, "Correct the file that AWS_CONFIG_FILE names, or ~/.aws/config")
    # botocore's parsers raise plain errors for values that they can't read (a date of the year 99999, say)
    return Failed(Reason.INVALID, f"{doing.what}: the answer makes no sense ({kind})", _ELSEWHERE)


def _refused(doing: Doing, error: boto.ClientError, skew_s: float) -> Failed:
    answer: Any = error.response
    code = re.sub(r"[^\w.-]", "", str(answer.get("Error", {}).get("Code", "")))[:80]
    said = str(answer.get("Error", {}).get("Message", ""))
    meta = answer.get("ResponseMetadata", {})
    status = meta.get("HTTPStatusCode", 0)
    if code in _THROTTLED or status == 429:
        pause_s = http.retry_after_s(meta.get("HTTPHeaders", {}))
        fix = "Wait for the next try; if it lasts, find out who else in the account calls so often"
        message = f"{doing.what}: AWS asks for fewer requests ({code})"
        return Failed(Reason.THROTTLED, message, fix, retry_after_s=pause_s)
    if (message_and_fix := _denied(doing, error, code, said, skew_s)) is not None:
        message, fix = message_and_fix
        return Failed(Reason.DENIED, f"{doing.what}: {message} ({code})", fix)
    if "scoped to a valid region" in said:
        message = f"{doing.what}: the endpoint is not that of {doing.region} ({code})"
        return Failed(Reason.INVALID, message, "Correct endpoint_url, AWS_ENDPOINT_URL_ECR or the registry's host")
    message = f"{doing.what}: AWS answered {status} ({code or 'no code'})"
    if status >= 500:
        return Failed(Reason.TRANSIENT, message, "Wait for the next try; see health.aws.amazon.com if it lasts")
    return Failed(Reason.INVALID, message, _ELSEWHERE)


def _denied(doing: Doing, error: boto.ClientError, code: str, said: str, skew_s: float) -> tuple[str, str] | None:
    """Message and fix, where somebody must grant a right, or correct a key, a clock or a region."""
    if code in _CLOCK or (code in _SIGNATURE and abs(skew_s) > SKEW_TOLERATED_S):
        way = "ahead of" if skew_s > 0 else "behind"
        message = f"this machine's clock is {abs(skew_s):.0f} s {way} AWS's, so AWS refuses its signatures"
        return message, "Set the clock right (chronyc tracking, timedatectl)"
    enable = "Enable the region (aws account enable-region)"
    found_first = "See which key botocore finds first (aws sts get-caller-identity)"
    match code:
        case "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "NotAuthorized":
            return _forbidden(doing, error, said)
        case _ if "scoped to a valid region" in said:
            return None
        case "OptInRequired" | "RegionDisabledException" | "RegionDisabled":
            return f"the opt-in region {doing.region} is switched off for this account", enable
        case "UnrecognizedClientException" | "InvalidClientTokenId" | "InvalidAccessKeyId" | "AuthFailure":
            if not partitions.is_opt_in(doing.region):
                return "AWS does not know the access key", found_first
            message = f"the opt-in region {doing.region} may be switched off for this account"
            return message, f"{enable}, or correct the access key"
        case _ if code in _SIGNATURE:
            return "the secret key is wrong", found_first
        case "ExpiredToken" | "ExpiredTokenException":
            return "the AWS session has expired", "Renew it, or use a role, which renews itself"
        case (
            "InvalidIdentityToken" | "InvalidIdentityTokenException" | "IDPRejectedClaim" | "IDPRejectedClaimException"
        ):
            message = "AWS refuses the token of the web identity"
            return message, "Correct the account's identity provider for it, or the audience of the token"
    return None


def _forbidden(doing: Doing, error: boto.ClientError, said: str) -> tuple[str, str]:
    if error.operation_name == "AssumeRoleWithWebIdentity":
        return "the role does not trust this token", "Correct its trust policy, or the service account"
    who, named, policy = _WHO.search(said), _ACTION.search(said), _POLICY.search(said)
    action = named[1] if named else doing.action
    message = f"{who[1] if who else 'the identity'} may not call {action or 'this'}"
    fix = doing.allow if action in doing.allow else f"Allow {action} as well as {doing.allow.removeprefix('Allow ')}"
    if policy and policy[1] == "because no":
        message += f": no {policy[2]} allows it"
    elif policy:
        message += f": explicit deny in {policy[1].rpartition(' ')[2]} {policy[2]}"
        fix = f"Remove the deny of {action} from that policy"
    if policy:
        fix = _WHOSE_POLICY.get(policy[2], fix).format(action=action)
    return message, fix
