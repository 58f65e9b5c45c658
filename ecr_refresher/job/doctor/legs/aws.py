"""AWS: the identity behind the base credentials, the roles that it assumes, the tokens, and the clock."""

import re
from collections.abc import Iterator
from functools import partial

from msgspec import structs

from ....core import budgets, phrases
from ....core.ecr import partitions
from ....core.model import Failed, Reason
from ....core.plan import Principal
from ....core.times import rfc3339
from ...aws.errors import Doing
from ..checkup import Checkup, token_key
from ..findings import Finding, Verdict, failed, ok, warning
from ..trying import Key, Leg
from .routes import api_key

SKEW_WARNED_S = 60.0
SKEW_REFUSED_S = 300.0  # AWS refuses signatures that are further off
_ARN = re.compile(r"arn:aws[\w-]*:[\w-]+::\d{12}:[\w+=,.@/-]{1,300}")


def legs(checkup: Checkup) -> Iterator[Leg]:
    """Credentials, then roles, then tokens; the clock at the end, by the dates of all answers."""
    made: dict[Key, Leg] = {}
    for principal in checkup.principals:
        for leg in _legs(checkup, principal):
            made.setdefault(leg.key, leg)
    yield from made.values()

    def clock() -> Finding:
        if checkup.tools.clock.offset is None:
            return Finding(Verdict.NOT_TRIED, "no answer of AWS has shown its time", "Fix what fails above")
        return skew(checkup.tools.clock.skew)

    yield Leg("clock", "AWS", "compared this machine's clock with AWS's", lambda: [clock()], waits_for=tuple(made))


def _legs(checkup: Checkup, principal: Principal) -> Iterator[Leg]:
    """The legs of one principal; principals share those with the same key."""

    def fetch() -> list[Finding]:
        credential = checkup.credentials[principal.key] = checkup.tools.fetch(principal)
        left = phrases.span(credential.expires_at - checkup.tools.clock.now())
        return [ok(f"good until {rfc3339(credential.expires_at)} (for {left})")]

    partition = partitions.of_region(principal.region)
    required = any(registry.required for registry in checkup.plan.registries if registry.principal == principal)
    whose = f"profile {principal.profile}" if principal.profile else "base identity"
    where = f" in {partition.id}" if partition and partition.id != "aws" else ""
    words = f"asked STS for the identity of the AWS credentials ({whose})"
    who = partial(_who, checkup, structs.replace(principal, roles=()))
    limit_s = budgets.CREDENTIALS_S + budgets.AWS_ALL_S  # a source that hangs is named
    yield (base := Leg("credentials", whose + where, words, who, limit_s=limit_s))
    after: tuple[Key, ...] = (base.key,)
    if principal.roles:
        subject = principal.roles[-1].arn + ("" if partition else f" ({principal.region})")
        chain = " then ".join(role.arn for role in principal.roles)
        words, act = f"assumed {chain}", lambda: [ok(f"acts as {_identity(checkup, principal)}")]
        yield (role := Leg("role", subject, words, act, after, required=required))
        after += (role.key,)
    words = f"asked {'ECR' if principal.service == 'ecr' else 'ECR Public'} in {principal.region} for a token"
    yield Leg(*token_key(principal), words, fetch, (*after, api_key(principal)), required=required)


def _who(checkup: Checkup, base: Principal) -> list[Finding]:
    """Name the identity. Some networks let only ECR through, so an STS that does not answer is a warning."""
    source = checkup.tools.aws().source(base.profile)
    source = _SOURCES.get(source, source)
    try:
        return [ok(f"{_identity(checkup, base)} ({source})")]
    except Failed as error:
        failure = error.failure
        if failure.reason in (Reason.DENIED, Reason.MISSING):
            raise
        return [warning(f"credentials were found ({source}); {failure.message}", failure.fix)]


def _identity(checkup: Checkup, principal: Principal) -> str:
    doing = Doing("asking STS whose credentials these are", principal.region, "sts:GetCallerIdentity", "on *")
    arn = str(checkup.tools.aws().call(doing, principal, "sts", "get_caller_identity").get("Arn", ""))
    return arn if _ARN.fullmatch(arn) else "an identity with a malformed ARN"


def skew(seconds: float) -> Finding:
    """Judge the clock, `seconds` ahead of AWS's."""
    what, fix = f"this machine's clock is {phrases.skew(seconds)}", "Set it right (chronyc tracking, timedatectl)"
    if abs(seconds) >= SKEW_REFUSED_S:
        return failed(f"{what}, and AWS refuses signatures that are 5 min off", fix)
    return warning(what, fix) if abs(seconds) >= SKEW_WARNED_S else ok("less than a minute apart")


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
