"""Policies: no right more than needed, each of AWS's own names, in the partition of what it is for."""

from __future__ import annotations

import re
from typing import Any

import botocore.session
import pytest
from msgspec.structs import replace

from ecr_refresher.core.ecr import partitions
from ecr_refresher.core.plan import Airflow, Connection, Mwaa, ParameterStore, Plan, SecretsManager
from ecr_refresher.job.aws import iam_policy
from ecr_refresher.job.aws.iam_policy import Wanted, document, of_settings, repository
from tests.unit.job.settings_reader import HOST, PARTNER, plan

WEB = repository(f"{HOST}/web_scraper")
ARN = "arn:aws:ecr:us-east-1:123456789012:repository/web_scraper"
PUBLIC_ARN = "arn:aws:ecr-public::123456789012:repository/web_scraper"
CHINAS = repository("arn:aws-cn:ecr:cn-north-1:123456789012:repository/x")
ROLE = "arn:aws:iam::210987654321:role/ecr-pull"

# Rights that are no call of an API, so that no service model has them. ECR user guide, page pull-through-cache-iam;
# ECR Public user guide, page public-repository-policies.
RIGHTS_ONLY = {"ecr:BatchImportUpstreamImage", "sts:GetServiceBearerToken", "sts:TagSession"}
ASSUMING = {"sts:AssumeRole", "sts:TagSession"}


def allowed(policy: dict[str, Any]) -> dict[str, Any]:
    """Each action with what it is allowed on."""
    return {action: each["Resource"] for each in policy["Statement"] for action in each["Action"]}


def every_policy() -> list[dict[str, Any]]:
    public = repository(PUBLIC_ARN)
    return [
        document(Wanted("pull", (WEB,), (ROLE,), public=True, pull_through_cache=True)),
        document(Wanted("push", (WEB, public), (ROLE,), create_repository=True)),
    ]


def test_to_pull() -> None:
    assert document(Wanted("pull", (WEB,))) == {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "EcrLogin", "Effect": "Allow", "Action": ["ecr:GetAuthorizationToken"], "Resource": "*"},
            {
                "Sid": "EcrPull",
                "Effect": "Allow",
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                "Resource": [ARN],
            },
        ],
    }


def test_to_push() -> None:
    assert allowed(document(Wanted("push", (WEB,)))) == {
        "ecr:GetAuthorizationToken": "*",
        "ecr:BatchGetImage": [ARN],
        "ecr:BatchCheckLayerAvailability": [ARN],
        "ecr:CompleteLayerUpload": [ARN],
        "ecr:InitiateLayerUpload": [ARN],
        "ecr:PutImage": [ARN],
        "ecr:UploadLayerPart": [ARN],
    }


def test_options_add_their_rights_and_no_other() -> None:
    plain = allowed(document(Wanted("pull", (WEB,))))
    cached = allowed(document(Wanted("pull", (WEB,), pull_through_cache=True)))
    assert cached == plain | {"ecr:BatchImportUpstreamImage": [ARN], "ecr:CreateRepository": [ARN]}
    public = allowed(document(Wanted("pull", (WEB,), public=True)))
    assert public == plain | {"ecr-public:GetAuthorizationToken": "*", "sts:GetServiceBearerToken": "*"}
    assert allowed(document(Wanted("pull", (WEB,), (ROLE,)))) == plain | {action: [ROLE] for action in ASSUMING}
    pushed = allowed(document(Wanted("push", (WEB,))))
    assert allowed(document(Wanted("push", (WEB,), create_repository=True))) == pushed | {"ecr:CreateRepository": [ARN]}


def test_a_pull_of_a_public_repository_takes_the_public_login_alone() -> None:
    found = allowed(document(Wanted("pull", (repository(PUBLIC_ARN),))))
    assert found == {"ecr-public:GetAuthorizationToken": "*", "sts:GetServiceBearerToken": "*"}


def test_a_policy_may_be_for_roles_or_the_public_login_alone() -> None:
    assert allowed(document(Wanted("pull", roles=(ROLE,)))) == {action: [ROLE] for action in ASSUMING}
    assert set(allowed(document(Wanted("pull", public=True)))) == {
        "ecr-public:GetAuthorizationToken",
        "sts:GetServiceBearerToken",
    }


def test_to_push_to_ecr_public() -> None:
    found = allowed(document(Wanted("push", (repository(PUBLIC_ARN),), create_repository=True)))
    assert found.pop("ecr-public:GetAuthorizationToken") == found.pop("sts:GetServiceBearerToken") == "*"
    assert set(map(str, found.values())) == {str([PUBLIC_ARN])}
    assert {action.partition(":")[0] for action in found} == {"ecr-public"}


def test_every_action_is_one_of_aws() -> None:
    session = botocore.session.get_session()
    known = {
        f"{service}:{operation}"
        for service in ("ecr", "ecr-public", "sts")
        for operation in session.get_service_model(service).operation_names
    }
    used = {action for policy in every_policy() for action in allowed(policy)}
    assert used - known == RIGHTS_ONLY
    assert len(used) > 15


def test_only_logins_are_allowed_everywhere() -> None:
    logins = {"ecr:GetAuthorizationToken", "ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"}
    for policy in every_policy():
        assert {action for action, resource in allowed(policy).items() if resource == "*"} <= logins


def test_sids_are_unique_and_of_letters_and_digits_as_iam_wants_them() -> None:
    for policy in every_policy():
        sids = [each["Sid"] for each in policy["Statement"]]
        assert len(set(sids)) == len(sids)
        assert all(sid.isalnum() for sid in sids)


@pytest.mark.parametrize(
    ("written", "arn"),
    [
        (ARN, ARN),
        (f"{HOST}/web_scraper", ARN),
        (f"https://{HOST}/web_scraper", ARN),
        (f"{HOST}/*", "arn:aws:ecr:us-east-1:123456789012:repository/*"),
        (f"{HOST}/team/*", "arn:aws:ecr:us-east-1:123456789012:repository/team/*"),
        (f"{HOST}/team/web?", "arn:aws:ecr:us-east-1:123456789012:repository/team/web?"),
        (
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a.b/c",
            "arn:aws-cn:ecr:cn-north-1:123456789012:repository/a.b/c",
        ),
        (
            "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com/x",
            "arn:aws-us-gov:ecr:us-gov-west-1:123456789012:repository/x",
        ),
        ("123456789012.dkr-ecr.eu-west-1.on.aws/x", "arn:aws:ecr:eu-west-1:123456789012:repository/x"),
        (
            "arn:aws-cn:ecr:cn-north-1:123456789012:repository/x*",
            "arn:aws-cn:ecr:cn-north-1:123456789012:repository/x*",
        ),
        (PUBLIC_ARN, PUBLIC_ARN),
    ],
)
def test_repositories_by_arn_or_host_and_name(written: str, arn: str) -> None:
    assert repository(written) == arn


@pytest.mark.parametrize("partition", partitions.PARTITIONS, ids=lambda partition: partition.id)
def test_each_partition_has_its_own_arns(partition: partitions.Partition) -> None:
    region = {"aws": "eu-west-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-east-1", "aws-eusc": "eusc-de-east-1"}
    there = (
        region.get(partition.id)
        or {
            "aws-iso": "us-iso-east-1",
            "aws-iso-b": "us-isob-east-1",
            "aws-iso-e": "eu-isoe-west-1",
            "aws-iso-f": "us-isof-south-1",
        }[partition.id]
    )
    assert repository(f"123456789012.dkr.ecr.{there}.{partition.suffix}/x").split(":")[1] == partition.id


@pytest.mark.parametrize(
    ("written", "gist"),
    [
        ("web_scraper", "is neither HOST/NAME nor an ARN"),
        (HOST, "is neither HOST/NAME nor an ARN"),
        (f"{HOST}/", "or " + HOST + "/* for all"),
        (f"{HOST}/Web", "names no repository"),
        (f"{HOST}/web:latest", "has a tag or digest"),
        (f"{HOST}/web@sha256:00", "has a tag or digest"),
        ("docker.io/library/busybox", "'docker.io' is not a host of ECR"),
        ("public.ecr.aws/x/y", "does not name the account"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com/x", "are under amazonaws.com.cn"),
        ("arn:aws:ecr:us-east-1:1234:repository/x", "is not the ARN of a repository"),
        ("arn:aws:s3:::bucket", "is not the ARN of a repository"),
        ("arn:aws:ecr:cn-north-1:123456789012:repository/x", "'cn-north-1' is in partition aws-cn"),
        ("arn:aws:ecr::123456789012:repository/x", "it has no region"),
        ("arn:aws:ecr-public:us-east-1:123456789012:repository/x", "has a region"),
    ],
)
def test_what_is_no_repository(written: str, gist: str) -> None:
    with pytest.raises(ValueError, match=re.escape(gist)):
        repository(written)


def test_roles_by_their_arns() -> None:
    assert iam_policy.role("arn:aws-cn:iam::123456789012:role/team/*") == "arn:aws-cn:iam::123456789012:role/team/*"
    for wrong in ("ecr-pull", "arn:aws:iam::1:role/x", "arn:aws:iam::123456789012:user/x", "*"):
        with pytest.raises(ValueError, match="is no ARN of a role"):
            iam_policy.role(wrong)


@pytest.mark.parametrize(
    ("wanted", "gist"),
    [
        (Wanted("pull"), "nothing to allow"),
        (Wanted("pull", (WEB,), create_repository=True), "applies only to push"),
        (Wanted("push", (WEB,), pull_through_cache=True), "applies only to pull"),
        (Wanted("push", public=True, create_repository=True), "no repository to allow that for"),
        (Wanted("pull", (WEB, CHINAS)), "partitions apart"),
        (Wanted("pull", (CHINAS, repository(PUBLIC_ARN))), "partitions apart"),
        (Wanted("pull", (WEB,), ("arn:aws-us-gov:iam::123456789012:role/x",)), "aws and aws-us-gov"),
        (Wanted("pull", (repository("123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/x"),), public=True), "apart"),
    ],
)
def test_what_can_t_be_one_policy(wanted: Wanted, gist: str) -> None:
    with pytest.raises(ValueError, match=gist):
        document(wanted)


def test_of_settings() -> None:
    """What the daemon's own identity needs: rights of its own, and the way to the first role of each chain."""
    hub = "arn:aws:iam::123456789012:role/hub"
    found = of_settings(
        Wanted("push"),
        plan(
            {
                "registries": [
                    {"host": HOST, "aliases": True},
                    {"host": PARTNER, "role_arn": [hub, ROLE]},
                    {"host": PARTNER, "name": "again", "role_arn": hub},
                    "public.ecr.aws",
                ],
                "docker": {"registries": [HOST]},
            }
        ),
    )
    assert found == Wanted("push", (repository(f"{HOST}/*"),), (hub,), public=True)


def test_of_settings_that_name_no_registry() -> None:
    with pytest.raises(ValueError, match="name no registry by its host; give --repository"):
        of_settings(Wanted("pull"), plan({}))


def test_the_sinks_in_aws_get_their_grants_and_roles() -> None:
    connection = Connection("docker_default", HOST)
    team, kept = replace(connection, team_name="data"), replace(connection, create=False)
    by_role = ParameterStore("/a", "us-east-1", "arn:aws:iam::1:role/x")
    wanted = of_settings(
        Wanted("pull"),
        Plan(
            (),
            airflows=(
                Airflow("api", "https://airflow.example.com", (connection,)),
                Airflow("mwaa", "", (connection,), mwaa=Mwaa("prod", "cn-north-1")),
                Airflow("secrets", "", (team,), secrets_manager=SecretsManager("a/b", "us-east-1")),
                Airflow("kept", "", (kept,), secrets_manager=SecretsManager("c", "us-east-1", sep="-")),
                Airflow("store", "", (team,), parameter_store=ParameterStore("/a/b", "us-east-1")),
                Airflow("other", "", (team,), parameter_store=by_role),
            ),
        ),
    )
    assert wanted.roles == ("arn:aws:iam::1:role/x",)
    assert {grant.sid: (grant.actions, grant.resources) for grant in wanted.grants} == {
        "Mwaa": (("airflow:InvokeRestApi",), ("arn:aws-cn:airflow:cn-north-1:*:role/prod/Op",)),
        "Secrets": (
            ("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"),
            (
                "arn:aws:secretsmanager:us-east-1:*:secret:a/b/data--docker_default-??????",
                "arn:aws:secretsmanager:us-east-1:*:secret:c-docker_default-??????",
            ),
        ),
        "CreateSecrets": (
            ("secretsmanager:CreateSecret",),
            ("arn:aws:secretsmanager:us-east-1:*:secret:a/b/data--docker_default*",),
        ),
        "Parameters": (
            ("ssm:GetParameter", "ssm:PutParameter"),
            ("arn:aws:ssm:us-east-1:*:parameter/a/b/data--docker_default",),
        ),
        "DescribeParameters": (("ssm:DescribeParameters",), ("*",)),
    }
    policy = document(Wanted("pull", grants=wanted.grants[2:]))
    assert policy["Statement"][-1] == {
        "Sid": "DescribeParameters",
        "Effect": "Allow",
        "Action": ["ssm:DescribeParameters"],
        "Resource": "*",
    }
