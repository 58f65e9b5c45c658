"""The grammar of ECR's host names, both ways."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher.core.ecr import host as ecr_host
from ecr_refresher.core.ecr.host import EcrHost

SUFFIXES = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "on.aws",
    "on.amazonwebservices.com.cn",
    "sc2s.sgov.gov",
    "c2s.ic.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
]
accounts = st.text("0123456789", min_size=12, max_size=12)
regions = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)
private = st.builds(EcrHost, accounts, regions, st.sampled_from(SUFFIXES), st.booleans(), st.booleans())


@given(private)
def test_a_host_that_was_put_together_is_taken_apart_into_the_same(host: EcrHost) -> None:
    assert ecr_host.parse(str(host)) == host
    assert not host.public


@given(st.text())
def test_whatever_is_taken_apart_is_put_together_again_or_refused_with_a_right_one(text: str) -> None:
    try:
        host = ecr_host.parse(text)
    except ValueError:
        with pytest.raises(ValueError, match=re.escape(ecr_host.HOST_EXAMPLE)):
            ecr_host.parse(text)
    else:
        assert str(host) == text


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_partition_has_its_suffix(suffix: str) -> None:
    host = ecr_host.parse(f"123456789012.dkr.ecr.xx-west-1.{suffix}")
    assert host == EcrHost("123456789012", "xx-west-1", suffix)


def test_the_host_says_fips_and_dual_stack() -> None:
    assert ecr_host.parse("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com").fips
    dualstack = ecr_host.parse("123456789012.dkr-ecr.eu-central-1.on.aws")
    assert dualstack.dualstack
    assert not dualstack.fips
    both = ecr_host.parse("123456789012.dkr-ecr-fips.us-east-1.on.aws")
    assert (both.fips, both.dualstack) == (True, True)


@pytest.mark.parametrize("name", ["public.ecr.aws", "ecr-public.aws.com"])
def test_ecr_public_has_two_hosts_one_region_and_no_account(name: str) -> None:
    host = ecr_host.parse(name)
    assert (host.public, host.account, host.region) == (True, None, "us-east-1")
    assert str(host) == name


@pytest.mark.parametrize(
    ("host", "fault"),
    [
        ("https://123456789012.dkr.ecr.us-east-1.amazonaws.com", "has a scheme in front"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/web", "has a path behind the host"),
        ("public.ecr.aws/docker", "has a path behind the host"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com:443", "has a port; Docker pulls from ECR break with one"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com:", "has a port"),
        ("123456789012.dkr.ecr.US-EAST-1.amazonaws.com", "has capital letters"),
        ("1234.dkr.ecr.us-east-1.amazonaws.com", "begins with '1234', which is not an account number of 12 digits"),
        ("1234567890123.dkr.ecr.us-east-1.amazonaws.com", "not an account number of 12 digits"),
        ("dkr.ecr.us-east-1.amazonaws.com", "is not a host of ECR"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.org", "is not a host of ECR"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com.", "is not a host of ECR"),
        ("123456789012.dkr.ecr..amazonaws.com", "is not a host of ECR"),
        ("123456789012.dkr.ecr.-east.amazonaws.com", "is not a host of ECR"),
        ("123456789012.dkr.ecr.us-east-1.amazonawsxcom", "is not a host of ECR"),
        ("evil.example/123456789012.dkr.ecr.us-east-1.amazonaws.com", "has a path"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example", "is not a host of ECR"),
        ("docker.io", "is not a host of ECR"),
        ("", "is not a host of ECR"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com\n", "is not a host of ECR"),
    ],
)
def test_a_bad_host_is_named_with_its_fault_and_a_right_one(host: str, fault: str) -> None:
    with pytest.raises(ValueError, match=r"write the bare host of a registry, e\.g\.") as caught:
        ecr_host.parse(host)
    assert f"'{host}'" in str(caught.value)
    assert fault in str(caught.value)


def test_digits_of_other_scripts_are_no_account_number() -> None:
    arabic = "".join(chr(0x660 + digit) for digit in range(10)) + "12"
    with pytest.raises(ValueError, match="not an account number"):
        ecr_host.parse(f"{arabic}.dkr.ecr.us-east-1.amazonaws.com")


@given(private)
def test_every_name_of_a_registry_leads_to_the_same_names(host: EcrHost) -> None:
    names = set(host.names())
    assert host in names
    assert {name.account for name in names} == {host.account}
    assert {name.region for name in names} == {host.region}
    for name in names:
        assert ecr_host.parse(str(name)) == name
        assert set(name.names()) | {host} >= names - {host}


def test_names_are_those_that_aws_has() -> None:
    def names(host: str) -> list[str]:
        return [str(name) for name in ecr_host.parse(host).names()]

    assert names("123456789012.dkr.ecr.eu-west-1.amazonaws.com")[1:] == ["123456789012.dkr-ecr.eu-west-1.on.aws"]
    assert names("123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov")[1:] == []
    assert names("public.ecr.aws") == ["public.ecr.aws", "ecr-public.aws.com"]


def test_a_region_under_another_partitions_domain_is_misplaced() -> None:
    assert ecr_host.parse("123456789012.dkr.ecr.cn-north-1.amazonaws.com").misplaced
    assert ecr_host.parse("123456789012.dkr.ecr.us-east-1.amazonaws.com.cn").misplaced
    assert not ecr_host.parse("123456789012.dkr.ecr.us-gov-west-1.amazonaws.com").misplaced
    assert not ecr_host.parse("123456789012.dkr.ecr.xx-new-1.amazonaws.com").misplaced
