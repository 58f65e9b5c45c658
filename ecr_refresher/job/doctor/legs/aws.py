"""AWS: the identity behind the base credentials, the roles that it assumes, the tokens, and the clock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from msgspec import structs

from ....core import budgets
from ....core.ecr import partitions
from ....core.model import Failed, Reason
from ....core.phrases import span
from ....core.plan import Principal
from ....core.times import rfc3339
from ...aws.errors import Doing
from ..checkup import Checkup, token_key
from ..findings import Finding, Verdict, failed, of_failure, ok, warning
from ..trying import Key, Leg
from .routes import api_key

SKEW_WARNED_S = 60.0
SKEW_REFUSED_S = 300.0  # AWS refuses signatures that are further off
_ARN = re.compile(r"arn:aws[\w-]*:[\w-]+::\d{12}:[\w+=,.@/-]{1,300}")


def legs(checkup: Checkup) -> Iterator[Leg]:
    """Credentials, then roles, then tokens; the clock at the end, by the dates of all answers."""
    made: dict[Key, Leg] = {}
    for principal in checkup.principals:
        required = checkup.is_required(principal)
        credentials = _credentials(checkup, principal)
        made.setdefault(credentials.key, credentials)
        stands_on = [credentials.key]
        if principal.roles:
            role = replace(_role(checkup, principal), after=tuple(stands_on), required=required)
            made.setdefault(role.key, role)
            stands_on.append(role.key)
        made[token_key(principal)] = Leg(
            *token_key(principal),
            f"asked {_service(principal)} in {principal.region} for a token",
            partial(_token, checkup, principal),
            after=(*stands_on, api_key(principal)),
            required=required,
        )
    yield from made.values()
    yield Leg(
        "clock", "AWS", "compared this machine's clock with AWS's", partial(_clock, checkup), waits_for=tuple(made)
    )


def _credentials(checkup: Checkup, principal: Principal) -> Leg:
    partition = partitions.of_region(principal.region)
    where = f" in {partition.id}" if partition and partition.id != "aws" else ""
    whose = f"profile {principal.profile}" if principal.profile else "base identity"
    base = structs.replace(principal, roles=())
    return Leg(
        "credentials",
        whose + where,
        f"asked STS for the identity of the AWS credentials ({whose})",
        partial(_who, checkup, base),
        limit_s=budgets.CREDENTIALS_S + budgets.AWS_ALL_S,  # a source that hangs is named
    )


def _who(checkup: Checkup, base: Principal) -> list[Finding]:
    """Name the identity. Some networks let only ECR through, so an STS that does not answer is a warning."""
    source = checkup.tools.aws().source(base.profile)
    try:
        return [ok(f"{_identity(checkup, base)} ({_SOURCES.get(source, source)})")]
    except Failed as error:
        if error.failure.reason in (Reason.DENIED, Reason.MISSING):
            raise
        found = of_failure(error.failure)
        return [warning(f"credentials are there ({_SOURCES.get(source, source)}); {found.text}", found.fix or "")]


def _role(checkup: Checkup, principal: Principal) -> Leg:
    chain = " then ".join(role.arn for role in principal.roles)
    subject = principal.roles[-1].arn + (f" ({principal.region})" if not partitions.of_region(principal.region) else "")
    return Leg("role", subject, f"assumed {chain}", lambda: [ok(f"acts as {_identity(checkup, principal)}")])


def _identity(checkup: Checkup, principal: Principal) -> str:
    doing = Doing("asking STS whose credentials these are", principal.region, "sts:GetCallerIdentity", "on *")
    answer = checkup.tools.aws().call(doing, principal, "sts", "get_caller_identity")
    arn = str(answer.get("Arn", ""))
    return arn if _ARN.fullmatch(arn) else "an identity whose ARN makes no sense"


def _token(checkup: Checkup, principal: Principal) -> list[Finding]:
    credential = checkup.tools.fetch(principal)
    checkup.credentials[principal.key] = credential
    left = span(credential.expires_at - checkup.tools.clock.now())
    return [ok(f"good until {rfc3339(credential.expires_at)} (for {left})")]


def _clock(checkup: Checkup) -> list[Finding]:
    if not checkup.tools.clock.measured:
        return [Finding(Verdict.NOT_TRIED, "no answer of AWS has shown its time", "Fix what fails above")]
    return [skew(checkup.tools.clock.skew)]


def skew(seconds: float) -> Finding:
    """Judge the clock, `seconds` ahead of AWS's."""
    off = f"{span(abs(seconds))} {'ahead of' if seconds > 0 else 'behind'} AWS's"
    fix = "Set it right (chronyc tracking, timedatectl)"
    if abs(seconds) >= SKEW_REFUSED_S:
        return failed(f"this machine's clock is {off}, and AWS refuses signatures that are 5 min off", fix)
    if abs(seconds) >= SKEW_WARNED_S:
        return warning(f"this machine's clock is {off}", fix)
    return ok("less than a minute apart")


def _service(principal: Principal) -> str:
    return "ECR" if principal.service == "ecr" else "ECR Public"


_SOURCES = {
    "env": "from the environment",
    "shared-credentials-file": "from the shared credentials file",
    "config-file": "from AWS's config file",
    "assume-role": "by a profile's role",
    "assume-role-with-web-identity": "by web identity",
    "sso": "by SSO",
    "container-role": "from the container's role",
    "iam-role": "from the instance's role",
    "custom-process": "by credential_process",
}
