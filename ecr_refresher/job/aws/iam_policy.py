"""Least-privilege IAM policies to pull from and push to ECR, with the rights that AWS's documentation lists. Pure.

Sources: the ECR user guide's pages image-pull-iam, image-push-iam and pull-through-cache-iam, and the ECR Public user
guide's public-repository-policies. An identity belongs to one partition, and so does its policy.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from ...core.ecr import host as ecr_host
from ...core.ecr import partitions
from ...core.plan import PRIVATE, PUBLIC, Airflow, Plan

Purpose = Literal["pull", "push"]

_PUSH = ("BatchCheckLayerAvailability", "CompleteLayerUpload", "InitiateLayerUpload", "PutImage", "UploadLayerPart")
_OF_SINKS = {
    "Mwaa": ("airflow:InvokeRestApi",),
    "Secrets": ("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"),
    "CreateSecrets": ("secretsmanager:CreateSecret",),
    "Parameters": ("ssm:GetParameter", "ssm:PutParameter"),
    "DescribeParameters": ("ssm:DescribeParameters",),
}

_NAME = r"[a-z0-9*?]+(?:[._/*?-]+[a-z0-9*?]+)*[*?]*"
_ARN = re.compile(
    rf"arn:(?P<partition>aws[a-z-]*):(?P<service>ecr|ecr-public):(?P<region>[a-z0-9-]*):[0-9]{{12}}:repository/{_NAME}"
)
_ROLE = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/*?-]{1,512}")
_EXAMPLE = f"{ecr_host.HOST_EXAMPLE}/web_scraper, or arn:aws:ecr:us-east-1:123456789012:repository/web_scraper"


@dataclass(frozen=True, slots=True)
class Grant:
    """Actions on resources, `("*",)` for all; one without resources allows nothing."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a policy must allow."""

    purpose: Purpose
    repositories: tuple[str, ...] = ()  # ARNs; `*` and `?` in a name stand for several
    roles: tuple[str, ...] = ()  # ARNs of roles to assume
    public: bool = False  # log in to ECR Public
    pull_through_cache: bool = False
    create_repository: bool = False
    grants: tuple[Grant, ...] = ()  # for sinks in AWS


def repository(text: str) -> str:
    """Return the ARN of an ARN or HOST/NAME. Raises ValueError with what is wrong and a valid example."""
    if arn := _ARN.fullmatch(text):
        home = partitions.of_region(region := arn["region"])
        if arn["service"] == PUBLIC and region:
            raise ValueError(f"'{text}' has a region, which ARNs of ECR Public don't have; write ecr-public::ACCOUNT")
        if arn["service"] == PRIVATE and (not region or (home is not None and home.id != arn["partition"])):
            told = f"'{region}' is in partition {home.id}" if home else "it has no region"
            raise ValueError(f"'{text}' can't be: {told}; write e.g. {_EXAMPLE}")
        return text
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
    return f"arn:{parsed.partition.id}:{PRIVATE}:{parsed.region}:{parsed.account}:repository/{name}"


def role(text: str) -> str:
    """Return the ARN of a role as it is. Raises ValueError."""
    if not _ROLE.fullmatch(text):
        raise ValueError(f"'{text}' is no ARN of a role; write it as arn:aws:iam::123456789012:role/NAME")
    return text


def of_settings(wanted: Wanted, plan: Plan) -> Wanted:
    """Add what the identity of the daemon needs: all repositories of the registries that it opens itself, the first
    role of each chain for the others, the login of ECR Public where that is among them. To pull, also what it needs for
    Airflows that it reaches through AWS: MWAA and the secrets backends.

    Raises ValueError where the settings name no registry by its host, since the account is not known then.
    """
    repositories, roles, public = [], [], False
    resources: dict[str, list[str]] = {}  # of sinks in AWS, by the grant's sid
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
    for airflow in plan.airflows if wanted.purpose == "pull" else ():
        way = airflow.mwaa or airflow.secrets_manager or airflow.parameter_store
        if way is not None and way.role_arn is not None:
            roles.append(way.role_arn)
        elif way is not None:
            for sid, arn in _of_airflow(airflow, way.region):
                resources.setdefault(sid, []).append(arn)
    grants = tuple(Grant(sid, _OF_SINKS[sid], _unique(arns)) for sid, arns in resources.items())
    return replace(wanted, repositories=_unique(repositories), roles=_unique(roles), public=public, grants=grants)


def _unique(arns: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(arns))


def _of_airflow(airflow: Airflow, region: str) -> Iterator[tuple[str, str]]:
    """What is granted, and on which resource."""
    partition = partitions.of_region(region)
    own = f"arn:{partition.id if partition else 'aws'}"
    if mwaa := airflow.mwaa:
        yield "Mwaa", f"{own}:airflow:{region}:*:role/{mwaa.environment}/Op"
    for connection in airflow.connections:
        if manager := airflow.secrets_manager:
            arn = f"{own}:secretsmanager:{region}:*:secret:{manager.secret_of(connection)}"
            yield "Secrets", f"{arn}-??????"
            if connection.create:
                yield "CreateSecrets", f"{arn}*"  # a secret to create has no suffix yet
        elif store := airflow.parameter_store:
            yield "Parameters", f"{own}:ssm:{region}:*:parameter{store.parameter_of(connection)}"
            yield "DescribeParameters", "*"  # AWS knows no other resource for it


def document(wanted: Wanted) -> dict[str, Any]:
    """The policy document. Raises ValueError where one policy is not enough, or would allow nothing."""
    if wanted.create_repository and wanted.purpose == "pull":
        raise ValueError("--create-repository applies only to push; what a pull creates, --pull-through-cache allows")
    if wanted.pull_through_cache and wanted.purpose == "push":
        raise ValueError("--pull-through-cache applies only to pull")
    if not wanted.repositories and (wanted.create_repository or wanted.pull_through_cache):
        raise ValueError(f"there is no repository to allow that for; give --repository, e.g. {_EXAMPLE}")
    grants = [grant for grant in _grants(wanted) if grant.resources]
    arns = [arn for grant in grants for arn in grant.resources if arn != "*"]
    apart = sorted({arn.split(":")[1] for arn in (*arns, *wanted.repositories)} | ({"aws"} if wanted.public else set()))
    if len(apart) > 1:
        raise ValueError(f"{' and '.join(apart)} are partitions apart; make one policy for each, by --repository")
    if not apart:
        raise ValueError(f"there is nothing to allow; give --repository, e.g. {_EXAMPLE}")
    statements = [
        {
            "Sid": grant.sid,
            "Effect": "Allow",
            "Action": list(grant.actions),
            "Resource": "*" if grant.resources == ("*",) else list(grant.resources),
        }
        for grant in grants
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _grants(wanted: Wanted) -> Iterator[Grant]:
    private = tuple(arn for arn in wanted.repositories if arn.split(":")[2] == PRIVATE)
    public = tuple(arn for arn in wanted.repositories if arn.split(":")[2] == PUBLIC)
    # A login is for all registries: AWS has no resource for it but "*".
    yield Grant("EcrLogin", ("ecr:GetAuthorizationToken",), ("*",) if private else ())
    if wanted.purpose == "pull":
        yield Grant("EcrPull", ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"), private)
        if wanted.pull_through_cache:
            yield Grant("EcrPullThroughCache", ("ecr:BatchImportUpstreamImage", "ecr:CreateRepository"), private)
    else:
        yield Grant("EcrPush", tuple(f"ecr:{name}" for name in ("BatchGetImage", *_PUSH)), private)
        if wanted.create_repository:
            yield Grant("EcrCreateRepository", ("ecr:CreateRepository",), private)
    login = ("ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken")
    yield Grant("EcrPublicLogin", login, ("*",) if wanted.public or public else ())
    if wanted.purpose == "push":
        yield Grant("EcrPublicPush", tuple(f"ecr-public:{name}" for name in _PUSH), public)
        if wanted.create_repository:
            yield Grant("EcrPublicCreateRepository", ("ecr-public:CreateRepository",), public)
    # A session that carries tags, as those of EKS Pod Identity do, needs TagSession to assume another role.
    yield Grant("AssumeRoles", ("sts:AssumeRole", "sts:TagSession"), wanted.roles)
    yield from wanted.grants
