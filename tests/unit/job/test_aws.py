"""What AWS's errors mean: their reason, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import botocore.exceptions as boto
import botocore.parsers
import pytest

from ecr_refresher.core.model import Failed, Reason
from ecr_refresher.core.plan import Principal
from ecr_refresher.job.aws import NO_CREDENTIALS, Aws
from ecr_refresher.job.clock import AwsClock

NOW = 1_800_000_000.0
DOING = "asking ECR in us-east-1 for a token"


class Told:
    """A clock that keeps what it is told of AWS's time."""

    def __init__(self) -> None:
        self.offsets: list[float] = []
        self.clock = AwsClock(
            boot=lambda: 500.0, wall=lambda: NOW + 3600, on_change=lambda offset, _: self.offsets.append(offset)
        )


def client_error(code: str, status: int = 400, date: str | None = None) -> boto.ClientError:
    headers = {} if date is None else {"date": date}
    response: Any = {
        "Error": {"Code": code, "Message": "a text of AWS's own with who knows what in it"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
    }
    return boto.ClientError(response, "GetAuthorizationToken")


def refusal(error: Exception, doing: str = DOING, told: Told | None = None) -> Failed:
    def send() -> None:
        raise error

    with pytest.raises(Failed) as caught:
        Aws((told or Told()).clock).call(doing, send)
    assert str(caught.value).startswith(f"{doing}: ")
    assert "who knows what" not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


@pytest.mark.parametrize(
    ("code", "status", "reason", "says"),
    [
        ("ThrottlingException", 400, Reason.THROTTLED, "fewer requests (ThrottlingException)"),
        ("RequestLimitExceeded", 503, Reason.THROTTLED, "fewer requests"),
        ("Whatever", 429, Reason.THROTTLED, "fewer requests"),
        ("AccessDeniedException", 400, Reason.DENIED, "allow ecr:GetAuthorizationToken on *"),
        ("UnrecognizedClientException", 400, Reason.DENIED, "check the access key"),
        ("InvalidClientTokenId", 403, Reason.DENIED, "aws sts get-caller-identity"),
        ("ExpiredTokenException", 400, Reason.DENIED, "renew the session"),
        ("InvalidSignatureException", 400, Reason.DENIED, "compare the clock"),
        ("RequestExpired", 400, Reason.DENIED, "compare the clock"),
        ("ServerException", 500, Reason.TRANSIENT, "AWS answered 500 (ServerException)"),
        ("", 503, Reason.TRANSIENT, "AWS answered 503"),
        ("InvalidParameterException", 400, Reason.INVALID, "AWS answered 400 (InvalidParameterException)"),
        ("", 404, Reason.INVALID, "AWS answered 404 (no code)"),
    ],
)
def test_a_refusal_has_its_reason_and_its_mend(code: str, status: int, reason: Reason, says: str) -> None:
    failed = refusal(client_error(code, status))
    assert failed.failure.reason is reason
    assert says in str(failed)


def test_a_role_that_may_not_be_taken_on_wants_another_right() -> None:
    failed = refusal(client_error("AccessDenied", 403), "taking on the role arn:aws:iam::210987654321:role/pull")
    assert "allow sts:AssumeRole, and trust it there" in str(failed)


@pytest.mark.parametrize(
    ("error", "reason", "says"),
    [
        (boto.NoCredentialsError(), Reason.MISSING, NO_CREDENTIALS),
        (boto.PartialCredentialsError(provider="env", cred_var="x"), Reason.MISSING, "hop limit must be 2"),
        (boto.ConnectTimeoutError(endpoint_url="https://u:p@host"), Reason.TRANSIENT, "could not be reached"),
        (boto.ReadTimeoutError(endpoint_url="https://u:p@host"), Reason.TRANSIENT, "could not be reached"),
        (boto.EndpointConnectionError(endpoint_url="https://u:p@host"), Reason.TRANSIENT, "EndpointConnectionError"),
        (boto.ProxyConnectionError(proxy_url="http://u:p@host"), Reason.TRANSIENT, "could not be reached"),
        (boto.SSLError(endpoint_url="https://u:p@host", error=OSError()), Reason.INVALID, "AWS_CA_BUNDLE"),
        (boto.ProfileNotFound(profile="prod"), Reason.INVALID, "AWS_PROFILE"),
        (boto.ConfigNotFound(path="/x"), Reason.INVALID, "AWS_CONFIG_FILE"),
        (boto.TokenRetrievalError(provider="sso", error_msg="x"), Reason.DENIED, "aws sso login"),
        (boto.SSOTokenLoadError(error_msg="x"), Reason.DENIED, "aws sso login"),
        (botocore.parsers.ResponseParserError("x"), Reason.INVALID, "the answer makes no sense"),
        (ValueError("year 99999 is out of range"), Reason.INVALID, "the answer makes no sense (ValueError)"),
        (boto.BotoCoreError(), Reason.TRANSIENT, "BotoCoreError"),
    ],
)
def test_trouble_before_an_answer_has_its_reason_and_its_mend(error: Exception, reason: Reason, says: str) -> None:
    failed = refusal(error)
    assert failed.failure.reason is reason
    assert says in str(failed)
    assert "u:p@" not in str(failed)
    assert "99999" not in str(failed)


def test_an_answer_tells_aws_s_time() -> None:
    told = Told()
    answer = {"ResponseMetadata": {"HTTPHeaders": {"date": formatdate(NOW, usegmt=True)}}}
    assert Aws(told.clock).call(DOING, lambda: answer) is answer
    assert told.offsets == [pytest.approx(NOW - 500.0, abs=1.0)]


def test_a_refusal_tells_aws_s_time_too() -> None:
    told = Told()
    refusal(client_error("AccessDenied", date=formatdate(NOW, usegmt=True)), told=told)
    assert told.offsets == [pytest.approx(NOW - 500.0, abs=1.0)]


@pytest.mark.parametrize("answer", [{}, {"ResponseMetadata": {}}, {"ResponseMetadata": {"HTTPHeaders": {"date": 7}}}])
def test_an_answer_without_a_date_tells_nothing(answer: dict[str, Any]) -> None:
    told = Told()
    Aws(told.clock).call(DOING, lambda: answer)
    assert told.offsets == []


# --- clients ---------------------------------------------------------------------------------------------------------
class Recording(Aws):
    """Makes no clients; keeps how they were asked for, and plays STS."""

    def __init__(self) -> None:
        super().__init__(Told().clock)
        self.asked: list[tuple[str, str, dict[str, str] | None]] = []
        self.assumed: list[dict[str, Any]] = []

    def client(self, service: str, region: str, keys: dict[str, str] | None = None) -> Any:
        self.asked.append((service, region, keys))
        assume: Callable[..., Any] = self._assume_role

        class Sts:
            def assume_role(self, **asked: Any) -> Any:
                return assume(asked)

            def close(self) -> None:
                pass

        return Sts()

    def _assume_role(self, asked: dict[str, Any]) -> Any:
        self.assumed.append(asked)
        return {"Credentials": {"AccessKeyId": "A", "SecretAccessKey": "B", "SessionToken": "C"}}


def test_a_principal_without_a_role_is_whoever_botocore_finds() -> None:
    aws = Recording()
    aws.client_for(Principal("ecr", "eu-west-1"), "ecr")
    assert aws.asked == [("ecr", "eu-west-1", None)]


def test_a_principal_with_a_role_takes_it_on_with_its_external_id() -> None:
    aws = Recording()
    aws.client_for(Principal("ecr", "eu-west-1", "arn:aws:iam::210987654321:role/pull", "team-data"), "ecr")
    assert aws.assumed == [
        {
            "RoleArn": "arn:aws:iam::210987654321:role/pull",
            "RoleSessionName": "ecr-refresher",
            "ExternalId": "team-data",
        }
    ]
    keys = {"aws_access_key_id": "A", "aws_secret_access_key": "B", "aws_session_token": "C"}
    assert aws.asked == [("sts", "eu-west-1", None), ("ecr", "eu-west-1", keys)]


def test_without_an_external_id_none_is_sent() -> None:
    aws = Recording()
    aws.client_for(Principal("ecr", "eu-west-1", "arn:aws:iam::210987654321:role/pull"), "ecr")
    assert set(aws.assumed[0]) == {"RoleArn", "RoleSessionName"}


def test_no_sdk_tries_again_by_itself_or_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "9")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    client = Aws(Told().clock).client("ecr", "us-east-1")
    config = client.meta.config
    assert config.retries["total_max_attempts"] == 1
    assert (config.connect_timeout, config.read_timeout) == (3.05, 10.0)
    client.close()
