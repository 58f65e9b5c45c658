"""Every partition: its hosts and API endpoints, held against botocore's own data and endpoint rules."""

from __future__ import annotations

from typing import Any

import botocore.loaders
import pytest
from botocore.endpoint_provider import EndpointProvider

from ecr_refresher.core.ecr import host as ecr_host
from ecr_refresher.core.ecr import partitions
from ecr_refresher.core.plan import Principal
from ecr_refresher.job.aws.clients import Aws
from ecr_refresher.job.aws.clock import AwsClock

ACCOUNT = "123456789012"
LOADER = botocore.loaders.create_loader()
PARTITIONS = LOADER.load_data("partitions")["partitions"]

# host without its account, partition, API endpoint of the same kind
TABLE = [
    ("dkr.ecr.us-east-1.amazonaws.com", "aws", "api.ecr.us-east-1.amazonaws.com"),
    ("dkr.ecr-fips.us-east-1.amazonaws.com", "aws", "api.ecr-fips.us-east-1.amazonaws.com"),
    ("dkr-ecr.eu-central-1.on.aws", "aws", "ecr.eu-central-1.api.aws"),
    ("dkr-ecr-fips.us-west-2.on.aws", "aws", "ecr-fips.us-west-2.api.aws"),
    ("dkr.ecr.mx-central-1.amazonaws.com", "aws", "api.ecr.mx-central-1.amazonaws.com"),
    ("dkr.ecr.cn-north-1.amazonaws.com.cn", "aws-cn", "api.ecr.cn-north-1.amazonaws.com.cn"),
    ("dkr-ecr.cn-northwest-1.on.amazonwebservices.com.cn", "aws-cn", "ecr.cn-northwest-1.api.amazonwebservices.com.cn"),
    ("dkr.ecr.us-gov-west-1.amazonaws.com", "aws-us-gov", "api.ecr.us-gov-west-1.amazonaws.com"),
    ("dkr.ecr-fips.us-gov-east-1.amazonaws.com", "aws-us-gov", "api.ecr-fips.us-gov-east-1.amazonaws.com"),
    ("dkr-ecr.us-gov-west-1.on.aws", "aws-us-gov", "ecr.us-gov-west-1.api.aws"),
    ("dkr-ecr-fips.us-gov-west-1.on.aws", "aws-us-gov", "ecr-fips.us-gov-west-1.api.aws"),
    ("dkr.ecr.eusc-de-east-1.amazonaws.eu", "aws-eusc", "api.ecr.eusc-de-east-1.amazonaws.eu"),
    ("dkr.ecr.us-iso-east-1.c2s.ic.gov", "aws-iso", "api.ecr.us-iso-east-1.c2s.ic.gov"),
    ("dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "aws-iso-b", "api.ecr.us-isob-east-1.sc2s.sgov.gov"),
    ("dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "aws-iso-e", "api.ecr.eu-isoe-west-1.cloud.adc-e.uk"),
    ("dkr.ecr.us-isof-south-1.csp.hci.ic.gov", "aws-iso-f", "api.ecr.us-isof-south-1.csp.hci.ic.gov"),
]


def rules(service: str) -> Any:
    ruleset = LOADER.load_service_model(service, "endpoint-rule-set-1")
    return EndpointProvider(ruleset, LOADER.load_data("partitions"))


@pytest.mark.parametrize(("host", "partition", "endpoint"), TABLE)
def test_host_and_endpoint_are_those_of_botocores_rules(
    host: str, partition: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECR", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-no-worth")
    parsed = ecr_host.parse(f"{ACCOUNT}.{host}")
    assert (parsed.account, parsed.partition.id, parsed.misplaced) == (ACCOUNT, partition, False)
    assert str(parsed) == f"{ACCOUNT}.{host}"
    by_rules = rules("ecr").resolve_endpoint(Region=parsed.region, UseFIPS=parsed.fips, UseDualStack=parsed.dualstack)
    assert by_rules.url == f"https://{endpoint}"
    # Without FIPS and dual-stack the registry's domain is the API's: both are the partition's `dnsSuffix`.
    if not parsed.dualstack:
        assert endpoint.endswith(f".{parsed.region}.{parsed.suffix}")
    # And it is where our own client goes.
    principal = Principal("ecr", parsed.region, use_fips=parsed.fips, use_dualstack=parsed.dualstack)
    assert Aws(AwsClock(0.0)).endpoint(principal) == f"https://{endpoint}/"


@pytest.mark.parametrize("known", partitions.PARTITIONS, ids=lambda partition: partition.id)
def test_a_partition_is_the_one_that_botocore_knows(known: partitions.Partition) -> None:
    (theirs,) = (partition for partition in PARTITIONS if partition["id"] == known.id)
    assert known.suffix == theirs["outputs"]["dnsSuffix"]
    for region in theirs["regions"]:
        if not region.endswith("-global"):
            assert partitions.of_region(region) == known


def test_botocore_knows_no_other_partition() -> None:
    assert {partition["id"] for partition in PARTITIONS} == {known.id for known in partitions.PARTITIONS}


def test_fips_names_are_where_botocore_has_them() -> None:
    found = set()
    for partition in LOADER.load_data("endpoints")["partitions"]:
        endpoints = partition["services"].get("api.ecr", {}).get("endpoints", {})
        found |= {name.removeprefix("fips-dkr-") for name in endpoints if name.startswith("fips-dkr-")}
    assert found == set(partitions.FIPS_REGIONS)


@pytest.mark.parametrize(
    ("region", "opt_in"),
    [("us-east-1", False), ("eu-west-1", False), ("eu-south-2", True), ("mx-central-1", True), ("cn-north-1", False)],
)
def test_newer_regions_must_be_switched_on(region: str, opt_in: bool) -> None:
    assert partitions.is_opt_in(region) is opt_in


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ("public.ecr.aws", "api.ecr-public.us-east-1.amazonaws.com"),
        ("ecr-public.aws.com", "ecr-public.us-east-1.api.aws"),
    ],
)
def test_ecr_publics_two_hosts_have_an_endpoint_each(host: str, endpoint: str) -> None:
    region, dualstack = ecr_host.parse(host).region, host == "ecr-public.aws.com"
    found = rules("ecr-public").resolve_endpoint(Region=region, UseFIPS=False, UseDualStack=dualstack)
    assert found.url == f"https://{endpoint}"
