"""What goes wrong with AWS, by kind, each with its fix; through the real client."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecr_refresher.core.model import Failed, Failure, Reason
from ecr_refresher.core.plan import Principal, Role
from ecr_refresher.job.aws import ecr as source
from ecr_refresher.job.aws.clients import Aws
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.standins.tokens import TokenBook
from tests.testbed.certificates import CertificateAuthority
from tests.testbed.processes import free_port
from tests.testbed.standins.aws_faults import (
    AwsError,
    BadSignature,
    CredentialsExpired,
    Denied,
    ServerError,
    Throttled,
    UnknownKey,
)
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.script import Cut, Malformed
from tests.testbed.standins.sts import TrustedRole

ROLE = "arn:aws:iam::210987654321:role/ecr-pull"
ENV = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "HTTP_PROXY")


@pytest.fixture
def ecr(monkeypatch: pytest.MonkeyPatch) -> Iterator[EcrStandIn]:
    for name in (*ENV, "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-no-worth-in-this-test")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with EcrStandIn(TokenBook()) as ecr:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", ecr.url)
        yield ecr
    assert ecr.crashes == []


def failure(ecr: EcrStandIn, region: str = "us-east-1", **how: Any) -> Failure:
    clock = AwsClock()
    principal = Principal("ecr", region, **{"endpoint_url": ecr.url, **how})
    with pytest.raises(Failed) as failed:
        source.fetch(Aws(clock), clock, principal)
    return failed.value.failure


@pytest.mark.parametrize(
    ("fault", "region", "reason", "said"),
    [
        (Throttled(), "us-east-1", Reason.THROTTLED, "AWS asks for fewer requests (ThrottlingException). Wait"),
        (
            Denied(),
            "us-east-1",
            Reason.DENIED,
            "(AccessDeniedException). Allow ecr:GetAuthorizationToken on *",
        ),
        (
            Denied(message="User: arn:aws:iam::123456789012:user/bob is not authorized to perform: x"),
            "us-east-1",
            Reason.DENIED,
            "arn:aws:iam::123456789012:user/bob may not call ecr:GetAuthorizationToken",
        ),
        (CredentialsExpired(), "us-east-1", Reason.DENIED, "the AWS session has expired"),
        (UnknownKey(), "us-east-1", Reason.DENIED, "AWS does not know the access key"),
        (UnknownKey(), "eu-south-2", Reason.DENIED, "the opt-in region eu-south-2 may be switched off"),
        (AwsError("OptInRequired", "", 403), "eu-south-2", Reason.DENIED, "eu-south-2 is switched off"),
        (BadSignature(), "us-east-1", Reason.DENIED, "the secret key is wrong"),
        (
            BadSignature(message="Credential should be scoped to a valid region, not 'us-east-1'."),
            "us-east-1",
            Reason.INVALID,
            "the endpoint is not that of us-east-1",
        ),
        (ServerError(), "us-east-1", Reason.TRANSIENT, "AWS answered 500"),
        (AwsError("SomethingNew", "with a secret in it"), "us-east-1", Reason.INVALID, "400 (SomethingNew)"),
        (Cut(processed=False), "us-east-1", Reason.TRANSIENT, "the connection to 127.0.0.1 broke"),
    ],
)
def test_a_refusal_is_of_a_kind_and_says_how_to_fix_it(
    ecr: EcrStandIn, fault: Any, region: str, reason: Reason, said: str
) -> None:
    ecr.next(fault)
    found = failure(ecr, region)
    assert (found.reason, said in str(found)) == (reason, True), str(found)
    assert "with a secret in it" not in str(found)
    assert found.fix


@pytest.mark.parametrize(("offset_s", "said"), [(-600, "ahead of"), (600, "behind")])
def test_a_clock_that_is_off_is_told_by_how_much(ecr: EcrStandIn, offset_s: float, said: str) -> None:
    ecr.date_offset_s = offset_s
    ecr.next(BadSignature())
    message = failure(ecr).message
    assert f"s {said} AWS's" in message
    assert any(f"{seconds} s" in message for seconds in (599, 600, 601))


def test_the_role_that_may_not_be_assumed_is_named(ecr: EcrStandIn) -> None:
    ecr.sts.roles[ROLE] = TrustedRole("somebody else")
    found = failure(ecr, roles=(Role(ROLE),))
    assert found.reason is Reason.DENIED
    assert f"assuming the role {ROLE}: arn:aws:iam::123456789012:user/AKIA" in found.message


def test_dns_connect_and_tls_are_told_apart(ecr: EcrStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = failure(ecr, endpoint_url=f"http://127.0.0.1:{free_port()}")
    assert "no connection to 127.0.0.1: connection refused" in refused.message
    with EcrStandIn(ecr.book, tls=CertificateAuthority(tmp_path).issue("localhost")) as tls:
        untrusted = failure(ecr, endpoint_url=f"https://localhost:{tls.port}")
    assert untrusted.reason is Reason.INVALID
    assert "TLS with localhost failed: its certificate is not trusted here" in untrusted.message

    def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    unknown = failure(ecr, endpoint_url="http://api.ecr.us-est-1.example.com")
    assert "DNS knows no api.ecr.us-est-1.example.com" in unknown.message


def test_a_ca_file_of_the_registry_is_trusted_for_its_endpoint(ecr: EcrStandIn, tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    clock = AwsClock()
    with EcrStandIn(ecr.book, tls=authority.issue("localhost")) as tls:
        principal = Principal(
            "ecr", "us-east-1", endpoint_url=f"https://localhost:{tls.port}", ca_file=str(authority.ca_file)
        )
        assert source.fetch(Aws(clock), clock, principal).username == "AWS"
    assert failure(ecr, ca_file="/nowhere/ca.pem").reason is Reason.MISSING


def test_an_expired_sso_login_says_how_to_log_in(
    ecr: EcrStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile sso]\nsso_start_url = https://example.awsapps.com/start\nsso_region = us-east-1\n"
        "sso_account_id = 123456789012\nsso_role_name = pull\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("HOME", str(tmp_path))
    found = failure(ecr, profile="sso")
    assert found.reason is Reason.DENIED
    assert "Run `aws sso login --profile sso`" in found.fix


def test_keys_without_their_secret_are_missing(ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "")
    found = failure(ecr)
    assert (found.reason, "only a part of an access key" in found.message) == (Reason.MISSING, True), found.message


def test_an_answer_of_sts_without_keys_is_invalid(ecr: EcrStandIn) -> None:
    answer = b"<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>"
    ecr.next(Malformed(answer, 200, "text/xml"), action="AssumeRole")
    found = failure(ecr, roles=(Role(ROLE),))
    assert (found.reason, "holds no keys" in found.message) == (Reason.INVALID, True), found.message
