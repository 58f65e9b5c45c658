"""What goes wrong with AWS, by kind, each with its fix; through the real client."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ecr_refresher import logs
from ecr_refresher.core import budgets
from ecr_refresher.core.model import Failed, Failure, Reason
from ecr_refresher.core.plan import Principal, Role
from ecr_refresher.job.aws import clients
from ecr_refresher.job.aws import ecr as source
from ecr_refresher.job.aws.clients import Aws
from ecr_refresher.job.aws.clock import AwsClock
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
from tests.testbed.standins.script import Cut, Endless, Malformed
from tests.testbed.standins.serving import Exchange, Reply, StandIn
from tests.testbed.standins.sts import TrustedRole
from tests.testbed.standins.tokens import TokenBook

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


class Answering(StandIn):
    """A server that gives every request the same answer."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        super().__init__()
        self._reply = Reply(status, b"{}", headers=headers)

    def respond(self, exchange: Exchange) -> None:
        exchange.send(self._reply)


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


WHO = "arn:aws:iam::123456789012:user/bob"
ASSUME = "Allow sts:AssumeRole to the base identity in the trust policy of that role and in the caller's own policy"


@pytest.mark.parametrize(
    ("said", "message", "fix"),
    [
        (
            "perform: sts:TagSession on resource: ROLE",
            "may not call sts:TagSession (AccessDenied)",
            f"Allow sts:TagSession as well as {ASSUME.removeprefix('Allow ')}",
        ),
        ("perform: sts:AssumeRole on resource: ROLE", "may not call sts:AssumeRole (AccessDenied)", ASSUME),
        (
            "perform: sts:AssumeRole on resource: ROLE because no resource-based policy allows the x:y action",
            "may not call sts:AssumeRole: no resource-based policy allows it (AccessDenied)",
            ASSUME,
        ),
        (
            "perform: sts:AssumeRole on resource: ROLE with an explicit deny in a service control policy",
            "may not call sts:AssumeRole: explicit deny in a service control policy (AccessDenied)",
            "Have the organization's administrators change that policy (SCP)",
        ),
        (
            "perform: sts:AssumeRole on resource: ROLE with an explicit deny in an identity-based policy",
            "explicit deny in an identity-based policy",
            "Remove the deny of sts:AssumeRole from that policy",
        ),
    ],
)
def test_a_denied_role_names_the_action_that_aws_names_and_the_kind_of_policy(
    ecr: EcrStandIn, said: str, message: str, fix: str
) -> None:
    text = f"User: {WHO} is not authorized to {said.replace('ROLE', ROLE)}"
    ecr.next(Denied(message=text), action="AssumeRole")
    found = failure(ecr, roles=(Role(ROLE),))
    assert found.reason is Reason.DENIED
    assert f"assuming the role {ROLE}: {WHO} " in found.message
    assert message in found.message
    assert found.fix.startswith(fix)


@pytest.mark.parametrize(
    ("why", "message", "fix"),
    [
        ("with an explicit deny in a resource control policy", "explicit deny in a resource control policy", "(RCP)"),
        (
            "with an explicit deny in a permissions boundary",
            "explicit deny in a permissions boundary",
            "Allow ecr:GetAuthorizationToken in the permissions boundary of the identity",
        ),
        (
            "because no permissions boundary allows the ecr:GetAuthorizationToken action",
            "no permissions boundary allows it",
            "Allow ecr:GetAuthorizationToken in the permissions boundary of the identity",
        ),
        (
            "because no VPC endpoint policy allows the ecr:GetAuthorizationToken action",
            "no VPC endpoint policy allows it",
            "Allow ecr:GetAuthorizationToken in the policy of the VPC endpoint",
        ),
        (
            "because no session policy allows the ecr:GetAuthorizationToken action",
            "no session policy allows it",
            "Allow ecr:GetAuthorizationToken in the policy that is given where the role is assumed",
        ),
        (
            "because no identity-based policy allows the ecr:GetAuthorizationToken action",
            "no identity-based policy allows it",
            "Allow ecr:GetAuthorizationToken on *",
        ),
        ("with an explicit deny in a s3cr3t", "may not call ecr:GetAuthorizationToken (", "Allow ecr:Get"),
    ],
)
def test_a_denied_token_names_the_kind_of_policy(ecr: EcrStandIn, why: str, message: str, fix: str) -> None:
    ecr.next(
        Denied(message=f"User: {WHO} is not authorized to perform: ecr:GetAuthorizationToken on resource: * {why}")
    )
    found = failure(ecr)
    assert message in found.message
    assert fix in found.fix
    assert "s3cr3t" not in str(found)


def test_a_second_action_that_ecr_public_needs_is_named(ecr: EcrStandIn) -> None:
    text = f"User: {WHO} is not authorized to perform: sts:GetServiceBearerToken on resource: *"
    ecr.next(Denied(message=text))
    clock = AwsClock()
    with pytest.raises(Failed) as failed:
        source.fetch(Aws(clock), clock, Principal("ecr-public", "us-east-1", endpoint_url=ecr.url))
    assert "may not call sts:GetServiceBearerToken" in failed.value.failure.message


def test_a_pause_that_is_asked_for_is_kept(ecr: EcrStandIn) -> None:
    with Answering(429, {"Retry-After": "17"}) as server:
        found = failure(ecr, endpoint_url=server.url)
    assert (found.reason, found.retry_after_s) == (Reason.THROTTLED, 17.0)


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (301, {"Location": "http://[::not-a-url"}, "AWS answered 301"),
        (307, {"Location": "https://elsewhere.example.com/"}, "AWS answered 307"),
        (429, {"Retry-After": "soon"}, "AWS asks for fewer requests"),
        (400, {"Date": "the day before yesterday"}, "AWS answered 400"),
        (200, {"Content-Type": "text/html"}, "ECR's answer holds no token"),
    ],
)
def test_headers_that_make_no_sense_are_the_answerer_s_fault(
    ecr: EcrStandIn, status: int, headers: dict[str, str], said: str
) -> None:
    with Answering(status, headers) as server:
        found = failure(ecr, endpoint_url=server.url)
    assert found.reason in (Reason.INVALID, Reason.THROTTLED)
    assert said in found.message


def test_an_answer_that_is_too_large_is_refused_before_it_is_read(ecr: EcrStandIn) -> None:
    ecr.next(Malformed(b"x" * (2 * budgets.ANSWER_MAX)))
    found = failure(ecr)
    assert found.reason is Reason.INVALID
    assert "127.0.0.1 sent an answer of more than 64 KiB" in found.message


def test_an_answer_that_never_ends_ends_at_its_size(ecr: EcrStandIn) -> None:
    ecr.next(Endless(0.0))
    assert "sent an answer of more than 64 KiB" in failure(ecr).message


def test_an_answer_that_comes_drop_by_drop_ends_at_its_time(ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "LIMITS", replace(clients.LIMITS, total_s=0.3))
    ecr.next(Endless(0.01))
    found = failure(ecr)
    assert (found.reason, "too slowly" in found.message) == (Reason.TRANSIENT, True), found


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


def test_words_that_sts_gives_for_keys_are_not_masked_in_the_log(
    ecr: EcrStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = "".join(f"<{name}>registry</{name}>" for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    text = f"<AssumeRoleResponse><AssumeRoleResult><Credentials>{given}</Credentials></AssumeRoleResult>"
    answer = Reply(200, f"{text}</AssumeRoleResponse>".encode(), headers={"Content-Type": "text/xml"})
    monkeypatch.setattr(ecr.sts, "answer", lambda *_: answer)
    clock = AwsClock()
    source.fetch(Aws(clock), clock, Principal("ecr", "us-east-1", (Role(ROLE),), endpoint_url=ecr.url))
    assert logs.redact("the registry answered") == "the registry answered"
