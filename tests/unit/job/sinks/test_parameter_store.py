"""Connections in SSM's Parameter Store, on moto; tests/integration has the real backend read them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from ecr_refresher.core.model import NOTHING, Credential, Failed, Holding, Outcome, Reason, Secret
from ecr_refresher.core.plan import Connection, ParameterStore
from ecr_refresher.job.sinks.airflow.backends.aws_stores import ParameterStoreSink

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
DOCKER = Connection("docker_default", HOST)
NAME = "/airflow/connections/docker_default"
UNTIL = 1_795_000_000.0
TOKEN = "t" * 4800  # as long as the longest seen


def credential(token: str = TOKEN) -> Credential:
    return Credential("AWS", Secret(token), UNTIL - 43_200, UNTIL)


def wanted(_: Holding) -> bool:
    return True


class Aws:
    """moto's SSM, by the calls that the sink makes; refuses the calls of a script."""

    def __init__(self) -> None:
        self.ssm = boto3.client(
            "ssm", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="for-moto"
        )
        self.refuses: dict[str, str] = {}
        self.calls: list[tuple[str, Mapping[str, Any]]] = []

    def __call__(self, doing: str, call: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.calls.append((call, request))
        if call in self.refuses:
            return {"Error": {"Code": self.refuses[call], "Message": f"{TOKEN} was refused"}}
        try:
            answer: Mapping[str, Any] = getattr(self.ssm, call)(**request)
        except ClientError as error:
            return dict(error.response)
        return answer

    def value(self, name: str = NAME) -> Any:
        return json.loads(self.ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])

    def puts(self) -> list[Mapping[str, Any]]:
        return [request for call, request in self.calls if call == "put_parameter"]


@pytest.fixture
def aws() -> Iterator[Aws]:
    with mock_aws():
        yield Aws()


@pytest.fixture
def sink(aws: Aws) -> ParameterStoreSink:
    return ParameterStoreSink(ParameterStore("/airflow/connections", "us-east-1"), aws)


def test_a_parameter_is_created_and_then_renewed_in_a_tier_that_holds_the_longest_token(
    aws: Aws, sink: ParameterStoreSink
) -> None:
    assert sink.look(DOCKER, HOST) == NOTHING
    assert sink.deliver(DOCKER, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN
    assert sink.look(DOCKER, HOST) == Holding(UNTIL)
    assert sink.deliver(DOCKER, HOST, credential("another-token"), still_wanted=wanted) is Outcome.WRITTEN
    assert aws.value()["password"] == "another-token"
    assert {(put["Type"], put["Tier"]) for put in aws.puts()} == {("SecureString", "Intelligent-Tiering")}
    assert [put.get("Overwrite", False) for put in aws.puts()] == [False, True]


def test_what_others_gave_a_parameter_stays(aws: Aws, sink: ParameterStoreSink) -> None:
    own = {"login": "old", "extra": {"reauth": False}, "port": 5000, "description": "ask Ada"}
    aws.ssm.put_parameter(
        Name=NAME, Value=json.dumps(own), Type="SecureString", KeyId="alias/of-the-team", Description="pulls"
    )
    sink.deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    value = aws.value()
    assert (value["extra"], value["port"], value["login"]) == ({"reauth": False}, 5000, "AWS")
    assert value["description"].startswith("ask Ada [ecr-refresher: ")
    assert (aws.puts()[0]["KeyId"], aws.puts()[0]["Description"]) == ("alias/of-the-team", "pulls")


def test_what_others_gave_a_parameter_stays_where_an_empty_page_comes_first(
    aws: Aws, sink: ParameterStoreSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DescribeParameters may answer with an empty page and a NextToken, says AWS."""
    aws.ssm.put_parameter(Name=NAME, Value="{}", Type="SecureString", KeyId="alias/of-the-team", Description="pulls")
    describe = aws.ssm.describe_parameters

    def paged(NextToken: str | None = None, **request: Any) -> Any:  # noqa: N803 - AWS's own name
        return describe(**request) if NextToken == "more" else {"Parameters": [], "NextToken": "more"}

    monkeypatch.setattr(aws.ssm, "describe_parameters", paged)
    sink.deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    assert (aws.puts()[0]["KeyId"], aws.puts()[0]["Description"]) == ("alias/of-the-team", "pulls")


@pytest.mark.parametrize("page", [{"Parameters": []}, {"Parameters": [], "NextToken": "more"}])
def test_a_parameter_that_is_not_described_is_not_overwritten(
    aws: Aws, sink: ParameterStoreSink, monkeypatch: pytest.MonkeyPatch, page: dict[str, Any]
) -> None:
    aws.ssm.put_parameter(Name=NAME, Value="{}", Type="SecureString")
    monkeypatch.setattr(aws.ssm, "describe_parameters", lambda **_: page)
    with pytest.raises(Failed, match="key and pattern are not known"):
        sink.deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    assert aws.puts() == []


def test_a_team_has_parameters_of_its_own(aws: Aws, sink: ParameterStoreSink) -> None:
    sink.deliver(Connection("docker_default", HOST, team_name="data"), HOST, credential(), still_wanted=wanted)
    assert aws.value("/airflow/connections/data--docker_default")["host"] == HOST


def test_what_is_good_by_now_is_left_alone(aws: Aws, sink: ParameterStoreSink) -> None:
    sink.deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    assert sink.deliver(DOCKER, HOST, credential(), still_wanted=lambda _: False) is Outcome.SKIPPED
    assert len(aws.puts()) == 1


@pytest.mark.parametrize("content", ["docker://AWS:x@host", "[]", "{"])
def test_a_parameter_that_is_no_object_is_refused_and_stays(aws: Aws, sink: ParameterStoreSink, content: str) -> None:
    aws.ssm.put_parameter(Name=NAME, Value=content, Type="SecureString")
    with pytest.raises(Failed, match="holds no JSON object"):
        sink.deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    assert aws.puts() == []


def test_a_plain_string_is_refused_since_aws_changes_no_type(aws: Aws, sink: ParameterStoreSink) -> None:
    aws.ssm.put_parameter(Name=NAME, Value="{}", Type="String")
    with pytest.raises(Failed, match="is a String"):
        sink.deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    assert aws.puts() == []


def test_one_that_appears_in_the_moment_of_its_creation_is_left_for_the_next_pass(
    aws: Aws, sink: ParameterStoreSink
) -> None:
    aws.refuses["put_parameter"] = "ParameterAlreadyExists"
    with pytest.raises(Failed) as caught:
        sink.deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    assert caught.value.failure.reason is Reason.TRANSIENT


@pytest.mark.parametrize(
    ("call", "code", "reason"),
    [
        ("get_parameter", "AccessDeniedException", Reason.DENIED),
        ("put_parameter", "AccessDeniedException", Reason.DENIED),
        ("describe_parameters", "AccessDeniedException", Reason.DENIED),
        ("get_parameter", "ThrottlingException", Reason.THROTTLED),
        ("put_parameter", "TooManyUpdates", Reason.THROTTLED),
        ("put_parameter", "InternalServerError", Reason.TRANSIENT),
        ("put_parameter", "ValidationException", Reason.INVALID),
    ],
)
def test_refusals_name_the_parameter_and_never_quote_aws(
    aws: Aws, sink: ParameterStoreSink, call: str, code: str, reason: Reason
) -> None:
    aws.ssm.put_parameter(Name=NAME, Value="{}", Type="SecureString")
    aws.refuses[call] = code
    with pytest.raises(Failed) as caught:
        sink.deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    failure = caught.value.failure
    assert failure.reason is reason
    assert failure.message == f"the parameter {NAME} in us-east-1 answered {call} with {code}"
    assert TOKEN not in str(failure)
    if reason is Reason.DENIED:
        assert "ssm:DescribeParameters" in failure.fix


def test_too_big_and_create_false(aws: Aws, sink: ParameterStoreSink) -> None:
    with pytest.raises(Failed, match="8192 is the most"):
        sink.deliver(DOCKER, HOST, credential("x" * 8200), still_wanted=wanted)
    with pytest.raises(Failed, match="is not there"):
        sink.look(Connection("docker_default", HOST, create=False), HOST)
    assert aws.puts() == []


def test_rights_are_asked_for_without_a_change(aws: Aws, sink: ParameterStoreSink) -> None:
    sink.may_write(DOCKER)
    assert aws.puts() == [], "of one that is not there it can't be asked"
    sink.deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    before = aws.value()
    sink.may_write(DOCKER)
    assert aws.value() == before
    aws.refuses["put_parameter"] = "AccessDeniedException"
    with pytest.raises(Failed, match="answered put_parameter"):
        sink.may_write(DOCKER)
