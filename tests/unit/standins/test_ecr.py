"""The stand-in for ECR, as the real boto3 sees it."""

from __future__ import annotations

import base64
import datetime as dt
import email.utils
import inspect
import time
from typing import Any

import boto3
import pytest
import urllib3
from botocore import httpsession
from botocore.client import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from tests.testbed.standins.aws_faults import (
    Answer,
    AwsError,
    BadSignature,
    CredentialsExpired,
    Denied,
    ServerError,
    Throttled,
    UnknownKey,
    encoded,
)
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.script import Cut, Delay, HalfAnswer, Malformed
from tests.testbed.standins.sts import TrustedRole
from tests.testbed.standins.tokens import TokenBook

from .conftest import Clock

KEY = "AKIASTANDIN"


def client(ecr: EcrStandIn, service: Any = "ecr", region: str = "us-east-1", key: str = KEY, wait_s: float = 10) -> Any:
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=ecr.url,
        aws_access_key_id=key,
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=wait_s, proxies={}),
    )


def token_of(ecr: EcrStandIn, **options: Any) -> dict[str, Any]:
    given: dict[str, Any] = client(ecr, **options).get_authorization_token()
    return given


def test_ecr_gives_a_token_that_the_book_knows(ecr: EcrStandIn, book: TokenBook) -> None:
    (entry,) = token_of(ecr, region="eu-central-1")["authorizationData"]
    (issued,) = book.all_issued()
    assert entry["authorizationToken"] == issued.authorization_token
    assert entry["expiresAt"] == dt.datetime.fromtimestamp(issued.expires_at, dt.UTC)
    assert entry["proxyEndpoint"] == "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    assert issued.principal == f"{KEY}/eu-central-1"
    login = base64.b64decode(entry["authorizationToken"]).decode()
    assert book.check(*login.split(":", 1)) == "ok"


def test_ecr_public_gives_an_object_without_an_endpoint(ecr: EcrStandIn) -> None:
    given = token_of(ecr, service="ecr-public")["authorizationData"]
    assert set(given) == {"authorizationToken", "expiresAt"}


def test_ecr_public_is_in_one_region_only(ecr: EcrStandIn) -> None:
    with pytest.raises(ClientError, match="valid region"):
        token_of(ecr, service="ecr-public", region="eu-west-1")


def test_one_token_is_listed_for_each_registry_id(ecr: EcrStandIn) -> None:
    given = client(ecr).get_authorization_token(registryIds=["111111111111", "222222222222"])
    hosts = [entry["proxyEndpoint"] for entry in given["authorizationData"]]
    assert hosts == [f"https://{account}.dkr.ecr.us-east-1.amazonaws.com" for account in ("1" * 12, "2" * 12)]
    assert len({entry["authorizationToken"] for entry in given["authorizationData"]}) == 1


def test_chinas_registries_have_their_own_domain(ecr: EcrStandIn) -> None:
    (entry,) = token_of(ecr, region="cn-north-1")["authorizationData"]
    assert entry["proxyEndpoint"] == "https://123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"


def test_sts_says_whose_keys_they_are(ecr: EcrStandIn) -> None:
    ecr.accounts["AKIAPARTNER"] = "999999999999"
    assert client(ecr, "sts").get_caller_identity()["Account"] == "123456789012"
    assert client(ecr, "sts", key="AKIAPARTNER").get_caller_identity()["Account"] == "999999999999"


def test_every_call_is_on_record(ecr: EcrStandIn) -> None:
    token_of(ecr, region="eu-west-1")
    token_of(ecr, service="ecr-public", key="AKIAOTHER")
    client(ecr, "sts").get_caller_identity()
    assert [(call.service, call.action, call.access_key, call.region) for call in ecr.calls] == [
        ("ecr", "GetAuthorizationToken", KEY, "eu-west-1"),
        ("ecr-public", "GetAuthorizationToken", "AKIAOTHER", "us-east-1"),
        ("sts", "GetCallerIdentity", KEY, "us-east-1"),
    ]


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        (Throttled(), "ThrottlingException", 400),
        (Denied(), "AccessDeniedException", 400),
        (CredentialsExpired(), "ExpiredTokenException", 400),
        (UnknownKey(), "UnrecognizedClientException", 400),
        (BadSignature(), "InvalidSignatureException", 400),
        (ServerError(), "ServerException", 500),
        (AwsError("RequestLimitExceeded", "too fast", 503), "RequestLimitExceeded", 503),
    ],
)
def test_an_error_reaches_boto3_by_its_name(ecr: EcrStandIn, fault: AwsError, code: str, status: int) -> None:
    ecr.next(fault)
    with pytest.raises(ClientError) as raised:
        token_of(ecr)
    assert raised.value.response["Error"] == {"Code": code, "Message": fault.message}
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert ecr.book.all_issued() == []


def test_an_error_of_sts_is_in_its_own_form(ecr: EcrStandIn) -> None:
    ecr.next(Denied(), action="GetCallerIdentity")
    with pytest.raises(ClientError) as raised:
        client(ecr, "sts").get_caller_identity()
    assert raised.value.response["Error"]["Code"] == "AccessDenied"


def test_queued_faults_come_one_by_one_and_before_the_standing_one(ecr: EcrStandIn) -> None:
    ecr.always(Denied())
    ecr.next(Throttled(), ServerError())
    codes = []
    for _ in range(4):
        with pytest.raises(ClientError) as raised:
            token_of(ecr)
        codes.append(raised.value.response["Error"]["Code"])
    assert codes == ["ThrottlingException", "ServerException", "AccessDeniedException", "AccessDeniedException"]
    ecr.heal()
    assert token_of(ecr)["authorizationData"]


def test_a_fault_may_be_bound_to_a_region_a_key_or_a_service(ecr: EcrStandIn) -> None:
    ecr.always(Throttled(), region="eu-west-1")
    ecr.always(Denied(), access_key="AKIAPARTNER")
    ecr.always(ServerError(), service="ecr-public")
    assert token_of(ecr)["authorizationData"]
    for options in ({"region": "eu-west-1"}, {"key": "AKIAPARTNER"}, {"service": "ecr-public"}):
        with pytest.raises(ClientError):
            token_of(ecr, **options)


def test_a_delay_makes_the_right_answer_late(ecr: EcrStandIn) -> None:
    ecr.next(Delay(0.3))
    began = time.monotonic()
    assert token_of(ecr)["authorizationData"]
    assert time.monotonic() - began >= 0.3


def test_a_long_delay_is_a_timeout_and_does_not_hold_up_the_stop(book: TokenBook) -> None:
    with EcrStandIn(book) as ecr:
        ecr.next(Delay(600))
        with pytest.raises(ReadTimeoutError):
            token_of(ecr, wait_s=0.2)
        began = time.monotonic()
    assert time.monotonic() - began < 2


def test_a_cut_breaks_the_call_before_or_after_it_took_effect(ecr: EcrStandIn) -> None:
    ecr.next(Cut(), Cut(processed=False))
    for _ in range(2):
        with pytest.raises(ConnectionClosedError):
            token_of(ecr)
    assert len(ecr.calls) == 2
    assert len(ecr.book.all_issued()) == 1


def test_half_an_answer_is_an_empty_success_to_botocore_or_an_error_to_an_older_one(ecr: EcrStandIn) -> None:
    # newer ones read with enforce_content_length=False (botocore/httpsession.py) and take broken JSON for {};
    # 1.41 still counted the bytes
    ecr.next(HalfAnswer())
    try:
        given = token_of(ecr)
    except ConnectionClosedError:
        assert "enforce_content_length=False" not in inspect.getsource(httpsession)
    else:
        assert given["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert set(given) == {"ResponseMetadata"}


def test_answers_may_hold_tokens_that_are_none(ecr: EcrStandIn) -> None:
    wrong = ["not base64 !", encoded("no colon"), encoded("AWS:"), ""]
    ecr.next(*(Answer(token=token) for token in wrong))
    said = [token_of(ecr)["authorizationData"][0]["authorizationToken"] for _ in wrong]
    assert said == wrong


def test_answers_may_lack_fields_or_hold_nulls(ecr: EcrStandIn) -> None:
    ecr.next(Answer(missing=("authorizationToken", "proxyEndpoint")), Answer(token=None, expires_at=None))
    (without,) = token_of(ecr)["authorizationData"]
    assert set(without) == {"expiresAt"}
    (nulls,) = token_of(ecr)["authorizationData"]
    assert set(nulls) == {"proxyEndpoint"}


def test_an_answer_may_say_an_earlier_expiry_than_the_one_before(ecr: EcrStandIn, book: TokenBook) -> None:
    first = book.issue()
    ecr.next(Answer(expires_at=first.expires_at - 60), Answer(life_s=-5.0))
    (older,) = token_of(ecr)["authorizationData"]
    assert older["expiresAt"].timestamp() == first.expires_at - 60
    (expired,) = token_of(ecr)["authorizationData"]
    assert expired["expiresAt"].timestamp() == book.clock() - 5
    assert book.check("AWS", book.all_issued()[-1].password) == "expired"


@pytest.mark.parametrize("body", [b"{", b"<html>hotel wifi</html>", b"", b"{}", b'{"authorizationData": null}'])
def test_a_malformed_body_is_an_empty_success_to_botocore(ecr: EcrStandIn, body: bytes) -> None:
    ecr.next(Malformed(body=body))
    assert "authorizationData" not in token_of(ecr)


@pytest.mark.parametrize("body", [b"null", b"[]"])
def test_json_that_is_no_object_breaks_botocore_itself(ecr: EcrStandIn, body: bytes) -> None:
    ecr.next(Malformed(body=body))
    with pytest.raises(AttributeError):
        token_of(ecr)


def test_an_expiry_that_is_no_time_breaks_botocore_itself(ecr: EcrStandIn) -> None:
    ecr.next(Answer(expires_at="soon"))
    with pytest.raises(ValueError, match="soon"):
        token_of(ecr)


def test_the_date_header_follows_the_books_clock_and_the_offset(ecr: EcrStandIn, clock: Clock) -> None:
    def date() -> float:
        header = token_of(ecr)["ResponseMetadata"]["HTTPHeaders"]["date"]
        return email.utils.parsedate_to_datetime(header).timestamp()

    assert date() == clock.now
    ecr.date_offset_s = 600.0
    assert date() == clock.now + 600


def test_an_unsigned_call_is_refused(ecr: EcrStandIn) -> None:
    with urllib3.PoolManager() as pool:
        answer = pool.request("POST", f"{ecr.url}/", body=b"{}", retries=False)
        elsewhere = pool.request("GET", f"{ecr.url}/elsewhere", retries=False)
    assert answer.json()["__type"] == "MissingAuthenticationTokenException"
    assert elsewhere.status == 404


def test_unknown_actions_are_told_apart_from_faults(ecr: EcrStandIn) -> None:
    with pytest.raises(ClientError, match="GetAuthorizationToken only"):
        client(ecr).describe_repositories()
    with pytest.raises(ClientError, match="GetCallerIdentity and AssumeRole only"):
        client(ecr, "sts").get_session_token()


def test_a_role_trusts_whom_it_names_and_its_keys_work_with_their_session_token_only(ecr: EcrStandIn) -> None:
    role = "arn:aws:iam::210987654321:role/pull"
    ecr.sts.roles[role] = TrustedRole(KEY, external_id="team")
    sts = client(ecr, "sts")
    for asked in ({}, {"ExternalId": "other"}):
        with pytest.raises(ClientError, match=r"user/AKIASTANDIN is not authorized to perform: sts:AssumeRole"):
            sts.assume_role(RoleArn=role, RoleSessionName="me", **asked)
    with pytest.raises(ClientError, match="not authorized"):
        client(ecr, "sts", key="AKIASTRANGER").assume_role(RoleArn=role, RoleSessionName="me", ExternalId="team")
    keys = sts.assume_role(RoleArn=role, RoleSessionName="me", ExternalId="team")["Credentials"]
    assert ecr.sts.who(keys["AccessKeyId"]) == role
    assert keys["Expiration"].timestamp() == ecr.clock() + 3600
    with pytest.raises(ClientError, match="security token"):
        token_of(ecr, key=keys["AccessKeyId"])


def test_one_call_in_so_many_meets_a_fault(ecr: EcrStandIn) -> None:
    ecr.every(3, Throttled())
    met = []
    for _ in range(9):
        try:
            token_of(ecr)
            met.append("")
        except ClientError as error:
            met.append(error.response["Error"]["Code"])
    assert met == ["", "", "ThrottlingException"] * 3
