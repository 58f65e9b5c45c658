"""Least-privilege IAM policies to pull from and push to ECR, with the rights that AWS's documentation lists. Pure.

Sources: the ECR user guide's pages image-pull-iam, image-push-iam and pull-through-cache-iam, and the ECR Public user
guide's public-repository-policies. An identity belongs to one partition, and so does its policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...core.ecr import host as ecr_host
from ...core.ecr import partitions
from ...core.plan import PRIVATE, PUBLIC, Plan
from .sink_grants import Grant

Purpose = Literal["pull", "push"]

_PULL = ("BatchGetImage", "GetDownloadUrlForLayer")
_PUSH_PUBLIC = (
    "BatchCheckLayerAvailability",
    "CompleteLayerUpload",
    "InitiateLayerUpload",
    "PutImage",
    "UploadLayerPart",
)
_PUSH = ("BatchGetImage", *_PUSH_PUBLIC)
_CACHE = ("BatchImportUpstreamImage", "CreateRepository")

_NAME = r"[a-z0-9*?]+(?:[._/*?-]+[a-z0-9*?]+)*[*?]*"
_ARN = re.compile(
    rf"arn:(?P<partition>aws[a-z-]*):(?P<service>ecr|ecr-public):(?P<region>[a-z0-9-]*)"
    rf":(?P<account>[0-9]{{12}}):repository/(?P<name>{_NAME})"
)
_ROLE = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/*?-]{1,512}")
_EXAMPLE = f"{ecr_host.HOST_EXAMPLE}/web_scraper, or arn:aws:ecr:us-east-1:123456789012:repository/web_scraper"


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository, or several by `*` and `?` in its name."""

    partition: str
    service: str
    region: str
    account: str
    name: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:repository/{self.name}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a policy must allow."""

    purpose: Purpose
    repositories: tuple[Repository, ...] = ()
    roles: tuple[str, ...] = ()  # ARNs of roles to assume
    public: bool = False  # log in to ECR Public
    pull_through_cache: bool = False
    create_repository: bool = False
    grants: tuple[Grant, ...] = ()  # for sinks in AWS


def repository(text: str) -> Repository:
    """Read an ARN or HOST/NAME. Raises ValueError with what is wrong and a valid example."""
    match = _ARN.fullmatch(text)
    if match is not None:
        found = Repository(**match.groupdict())
        _check_place(found, text)
        return found
    if text.startswith("arn:"):
        raise ValueError(f"'{text}' is not the ARN of a repository; write e.g. {_EXAMPLE}")
    host, slash, name = text.removeprefix("https://").partition("/")
    if not slash and host not in ecr_host.PUBLIC_HOSTS:
        raise ValueError(f"'{text}' is neither HOST/NAME nor an ARN; write e.g. {_EXAMPLE}; HOST/* for all")
    parsed = ecr_host.parse(host)
    if parsed.public:
        raise ValueError(
            f"'{text}' does not name the account; everybody may pull it (--public is for the login), and to push write "
            "arn:aws:ecr-public::123456789012:repository/NAME"
        )
    if parsed.misplaced:
        raise ValueError(f"'{host}' does not exist: registries of {parsed.region} are under {parsed.partition.suffix}")
    if re.search(r"[:@]", name):
        raise ValueError(f"'{text}' has a tag or digest; rights are given for repositories: leave it out")
    if not re.fullmatch(_NAME, name):
        raise ValueError(f"'{text}' names no repository; write e.g. {_EXAMPLE}, or {host}/* for all of them")
    return Repository(parsed.partition.id, PRIVATE, parsed.region, parsed.account or "", name)


def _check_place(found: Repository, text: str) -> None:
    """An ARN's partition and region must belong together; ECR Public's have no region."""
    if found.service == PUBLIC:
        if found.region:
            raise ValueError(f"'{text}' has a region, which ARNs of ECR Public don't have; write ecr-public::ACCOUNT")
        return
    home = partitions.of_region(found.region)
    if not found.region or (home is not None and home.id != found.partition):
        told = f"'{found.region}' is in partition {home.id}" if home else "it has no region"
        raise ValueError(f"'{text}' can't be: {told}; write e.g. {_EXAMPLE}")


def role(text: str) -> str:
    """Read the ARN of a role. Raises ValueError."""
    if not _ROLE.fullmatch(text):
        raise ValueError(f"'{text}' is no ARN of a role; write it as arn:aws:iam::123456789012:role/NAME")
    return text


def of_settings(plan: Plan) -> tuple[tuple[Repository, ...], tuple[str, ...], bool]:
    """What the identity of the daemon needs: all repositories of the registries that it opens itself, the first role
    of each chain for the others, and whether ECR Public is among them.

    Raises ValueError where the settings name no registry by its host, since the account is not known then.
    """
    repositories, roles, public = [], [], False
    for registry in plan.registries:
        if registry.alias_of is not None:
            continue
        if registry.principal.roles:
            roles.append(registry.principal.roles[0].arn)
        elif registry.principal.service == PUBLIC:
            public = True
        elif registry.host:
            repositories.append(repository(f"{registry.ecr}/*"))
        else:
            raise ValueError(f"the settings name no registry by its host; give --repository, e.g. {_EXAMPLE}")
    return tuple(dict.fromkeys(repositories)), tuple(dict.fromkeys(roles)), public


def document(wanted: Wanted) -> dict[str, Any]:
    """The policy document. Raises ValueError where one policy is not enough, or would allow nothing."""
    _check(wanted)
    statements = [
        {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
        for sid, actions, resources in _statements(wanted)
        if resources
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _check(wanted: Wanted) -> None:
    if wanted.create_repository and wanted.purpose == "pull":
        raise ValueError("--create-repository goes with push; what a pull creates, --pull-through-cache allows")
    if wanted.pull_through_cache and wanted.purpose == "push":
        raise ValueError("--pull-through-cache goes with pull")
    if not wanted.repositories and (wanted.create_repository or wanted.pull_through_cache):
        raise ValueError(f"there is no repository to allow that for; give --repository, e.g. {_EXAMPLE}")
    named = [each.partition for each in wanted.repositories] + [arn.split(":")[1] for arn in wanted.roles]
    named += [arn.split(":")[1] for grant in wanted.grants for arn in grant.resources if arn != "*"]
    if wanted.public:
        named.append("aws")
    found = sorted(set(named))
    if len(found) > 1:
        raise ValueError(f"{' and '.join(found)} are partitions apart; make one policy for each, by --repository")
    if not found:
        raise ValueError(f"there is nothing to allow; give --repository, e.g. {_EXAMPLE}")


def _statements(wanted: Wanted) -> Iterator[tuple[str, list[str], list[str] | str]]:
    """Sid, actions and resources of each statement; one without resources is left out."""
    private = [str(each) for each in wanted.repositories if each.service == PRIVATE]
    public = [str(each) for each in wanted.repositories if each.service == PUBLIC]
    # A login is for all registries: AWS has no resource for it but "*".
    yield "EcrLogin", ["ecr:GetAuthorizationToken"], "*" if private else []
    if wanted.purpose == "pull":
        yield "EcrPull", _actions(PRIVATE, _PULL), private
        yield "EcrPullThroughCache", _actions(PRIVATE, _CACHE), private if wanted.pull_through_cache else []
    else:
        yield "EcrPush", _actions(PRIVATE, _PUSH), private
        yield "EcrCreateRepository", ["ecr:CreateRepository"], private if wanted.create_repository else []
    login = ["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"]
    yield "EcrPublicLogin", login, "*" if wanted.public or public else []
    if wanted.purpose == "push":
        yield "EcrPublicPush", _actions(PUBLIC, _PUSH_PUBLIC), public
        yield "EcrPublicCreateRepository", ["ecr-public:CreateRepository"], public if wanted.create_repository else []
    # A session that carries tags, as those of EKS Pod Identity do, needs TagSession to assume another role.
    yield "AssumeRoles", ["sts:AssumeRole", "sts:TagSession"], list(wanted.roles)
    for grant in wanted.grants:
        yield grant.sid, list(grant.actions), "*" if grant.resources == ("*",) else list(grant.resources)


def _actions(service: str, names: Sequence[str]) -> list[str]:
    return [f"{service}:{name}" for name in names]
