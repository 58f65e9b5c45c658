"""Connections in Secrets Manager, against scripted answers of AWS; tests/integration has botocore and the backend."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ecr_refresher.core.model import NOTHING, Credential, Failed, Holding, Outcome, Reason, Secret
from ecr_refresher.core.plan import Connection, SecretsManager
from ecr_refresher.job.sinks.airflow.backends.aws_stores import SecretsManagerSink

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
DOCKER = Connection("docker_default", HOST)
ID = "airflow/connections/docker_default"
UNTIL = 1_795_000_000.0


def credential(token: str = "the-new-token") -> Credential:
    return Credential("AWS", Secret(token), UNTIL - 43_200, UNTIL)


def wanted(_: Holding) -> bool:
    return True


class FakeAws:
    """Secrets by name; refuses the calls of a script."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.refuses: dict[str, str] = {}
        self.calls: list[str] = []

    def __call__(self, doing: str, call: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.calls.append(call)
        if call in self.refuses:
            return {"Error": {"Code": self.refuses[call], "Message": "the-new-token was refused"}}
        if call == "get_secret_value":
            if request["SecretId"] not in self.secrets:
                return {"Error": {"Code": "ResourceNotFoundException"}}
            return {"SecretString": self.secrets[request["SecretId"]]}
        assert len(request["ClientRequestToken"]) >= 32
        self.secrets[request["Name" if call == "create_secret" else "SecretId"]] = request["SecretString"]
        return {}


@pytest.fixture
def aws() -> FakeAws:
    return FakeAws()


@pytest.fixture
def sink(aws: FakeAws) -> SecretsManagerSink:
    return SecretsManagerSink(SecretsManager("airflow/connections", "us-east-1"), aws)


def test_a_secret_is_created_and_then_renewed(aws: FakeAws, sink: SecretsManagerSink) -> None:
    assert sink.look(DOCKER, HOST) == NOTHING
    assert sink.deliver(DOCKER, HOST, credential(), still_wanted=wanted) is Outcome.WRITTEN
    assert sink.look(DOCKER, HOST) == Holding(UNTIL)
    assert sink.deliver(DOCKER, HOST, credential("another-token"), still_wanted=wanted) is Outcome.WRITTEN
    assert json.loads(aws.secrets[ID])["password"] == "another-token"
    assert [call for call in aws.calls if call != "get_secret_value"] == ["create_secret", "put_secret_value"]


def test_own_fields_stay_behind_ours(aws: FakeAws, sink: SecretsManagerSink) -> None:
    # The amazon provider takes the first of `password`, `pass` and `key`: ours must stand in front.
    aws.secrets[ID] = json.dumps({"user": "old", "pass": "old", "extra": {"reauth": False}, "description": "ask Ada"})
    sink.deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    written = json.loads(aws.secrets[ID])
    assert list(written) == ["conn_type", "host", "login", "password", "description", "user", "pass", "extra"]
    assert written["extra"] == {"reauth": False}
    assert written["description"].startswith("ask Ada [ecr-refresher: ")


def test_what_is_good_by_now_is_left_alone(aws: FakeAws, sink: SecretsManagerSink) -> None:
    sink.deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    assert sink.deliver(DOCKER, HOST, credential(), still_wanted=lambda _: False) is Outcome.SKIPPED
    assert aws.calls.count("put_secret_value") == 0


def test_one_that_appears_in_the_moment_of_its_creation_is_tried_again_later(
    aws: FakeAws, sink: SecretsManagerSink
) -> None:
    aws.refuses["create_secret"] = "ResourceExistsException"
    with pytest.raises(Failed) as caught:
        sink.deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    assert caught.value.failure.reason is Reason.TRANSIENT


@pytest.mark.parametrize(
    ("call", "code", "reason", "words"),
    [
        ("get_secret_value", "AccessDeniedException", Reason.DENIED, "GetSecretValue, PutSecretValue and CreateSecret"),
        ("get_secret_value", "InvalidRequestException", Reason.INVALID, "restore-secret"),
        ("get_secret_value", "DecryptionFailure", Reason.DENIED, "KMS key"),
        ("create_secret", "AccessDeniedException", Reason.DENIED, "create_secret"),
        ("create_secret", "EncryptionFailure", Reason.DENIED, "KMS key"),
        ("get_secret_value", "ThrottlingException", Reason.THROTTLED, "ThrottlingException"),
        ("create_secret", "LimitExceededException", Reason.THROTTLED, "quota"),
        ("create_secret", "InternalServiceError", Reason.TRANSIENT, "health dashboard"),
        ("create_secret", "InvalidParameterException", Reason.INVALID, "InvalidParameterException"),
    ],
)
def test_refusals_name_the_secret_and_the_fix_and_never_quote_aws(
    aws: FakeAws, sink: SecretsManagerSink, call: str, code: str, reason: Reason, words: str
) -> None:
    aws.refuses[call] = code
    with pytest.raises(Failed) as caught:
        sink.deliver(DOCKER, HOST, credential(), still_wanted=wanted)
    assert caught.value.failure.reason is reason
    assert caught.value.failure.message.startswith(f"the secret {ID} in us-east-1 ")
    assert words in str(caught.value.failure)
    assert "the-new-token" not in str(caught.value.failure)


@pytest.mark.parametrize("content", ["docker://AWS:x@host", "[]", "", "{"])
def test_a_secret_that_is_no_object_is_refused(aws: FakeAws, sink: SecretsManagerSink, content: str) -> None:
    aws.secrets[ID] = content
    with pytest.raises(Failed, match="holds no JSON object"):
        sink.look(DOCKER, HOST)


def test_create_false_and_too_big(aws: FakeAws, sink: SecretsManagerSink) -> None:
    with pytest.raises(Failed, match="is not there"):
        sink.look(Connection("docker_default", HOST, create=False), HOST)
    with pytest.raises(Failed, match="65536 is the most"):
        sink.deliver(DOCKER, HOST, credential("x" * 66_000), still_wanted=wanted)
    assert aws.secrets == {}


@pytest.mark.parametrize(
    ("manager", "connection", "name"),
    [
        (SecretsManager("airflow/connections", "us-east-1"), DOCKER, ID),
        (SecretsManager("", "us-east-1"), DOCKER, "docker_default"),
        (SecretsManager("airflow-connections", "us-east-1", sep="-"), DOCKER, "airflow-connections-docker_default"),
        (
            SecretsManager("airflow/connections", "us-east-1"),
            Connection("docker_default", HOST, team_name="data"),
            "airflow/connections/data--docker_default",
        ),
        (
            SecretsManager("airflow/connections", "us-east-1"),
            Connection("data/docker", HOST),
            "airflow/connections/data/docker",
        ),
    ],
)
def test_names_are_those_that_the_backend_looks_for(
    aws: FakeAws, manager: SecretsManager, connection: Connection, name: str
) -> None:
    SecretsManagerSink(manager, aws).deliver(connection, HOST, credential(), still_wanted=wanted)
    assert list(aws.secrets) == [name]
