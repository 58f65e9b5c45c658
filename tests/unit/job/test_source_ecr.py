"""What is made of ECR's answers: a credential, or `invalid` with nothing of the token in the message."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher import logs
from ecr_refresher.core import budgets
from ecr_refresher.core.model import Failed, Reason
from ecr_refresher.core.plan import Principal
from ecr_refresher.job.aws import ecr
from ecr_refresher.job.aws.clients import Aws
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.aws.errors import Doing
from tests.testbed.standins.aws_faults import Denied, Throttled
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.serving import Exchange, Reply, StandIn
from tests.testbed.standins.tokens import TokenBook

NOW = 1_800_000_000.0
PASSWORD = "eyJwYXlsb2FkIjoi-the-password-of-a-test".ljust(budgets.TOKEN_MIN, "=")


@pytest.fixture(autouse=True)
def nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_hidden", set())


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def grant(token: object = None, left: float = 43_200.0, **more: object) -> dict[str, object]:
    expires = dt.datetime.fromtimestamp(NOW + left, dt.UTC)
    return {"authorizationToken": encoded(f"AWS:{PASSWORD}") if token is None else token, "expiresAt": expires, **more}


def answer(*grants: object) -> dict[str, Any]:
    return {"authorizationData": list(grants)}


def refusal(of: dict[str, Any], *, public: bool = False) -> str:
    with pytest.raises(Failed) as caught:
        ecr.credential_from(of, NOW, public=public)
    assert caught.value.failure.reason is Reason.INVALID
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_good_answer_is_a_credential() -> None:
    credential = ecr.credential_from(answer(grant(left=43_200.75)), NOW)
    assert (credential.username, credential.secret.reveal()) == ("AWS", PASSWORD)
    assert (credential.issued_at, credential.expires_at, credential.life) == (NOW, NOW + 43_200, 43_200)


def test_the_expiry_is_cut_to_whole_seconds_never_rounded_up() -> None:
    assert ecr.credential_from(answer(grant(left=100.999)), NOW).expires_at == NOW + 100


def test_ecr_public_answers_with_an_object_where_ecr_has_a_list() -> None:
    assert ecr.credential_from({"authorizationData": grant()}, NOW, public=True).secret.reveal() == PASSWORD
    assert "holds no token" in refusal({"authorizationData": [grant()]}, public=True)
    assert "holds no token" in refusal({"authorizationData": grant()})


def test_a_password_may_hold_colons_and_be_of_any_length() -> None:
    password = "a:b:" + "c" * 100_000
    assert ecr.credential_from(answer(grant(encoded(f"AWS:{password}"))), NOW).secret.reveal() == password


def test_what_was_read_is_masked_in_every_message_from_then_on() -> None:
    password = "a.b:" * 25  # not of the shape of a secret
    ecr.credential_from(answer(grant(encoded(f"AWS:{password}"))), NOW)
    assert logs.redact(f"is it {password}?") == "is it ***?"
    assert logs.redact(f"or {encoded(f'AWS:{password}')}?") == "or ***?"


@pytest.mark.parametrize(
    "text",
    [
        "error",
        "airflow",
        "docker_default",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com",
        "no connection to the registry: see its security groups. Check its address, that it is up, and DNS",
    ],
)
def test_a_hostile_endpoint_has_no_word_masked_in_messages_about_others(text: str) -> None:
    assert "no token but a password with blanks, or of less than 100 characters" in refusal(
        answer(grant(encoded(f"AWS:{text}")))
    )
    assert logs.redact(text) == text


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({}, "holds no token"),
        ({"authorizationData": None}, "holds no token"),
        (answer(), "holds no token"),
        (answer("grant"), "holds no token"),
        (answer(grant("")), "holds no token"),
        (answer(grant(7)), "holds no token"),
        (answer(grant("not base64!")), "a token that is not base64"),
        (answer(grant("YWJj" + "é")), "a token that is not base64"),
        (answer(grant(base64.b64encode(b"AWS:\xff\xfe").decode())), "a token that is not base64"),
        (answer(grant(encoded("AWS-without-colon"))), "a token without a colon between user and password"),
        (answer(grant(encoded(f"bob:{PASSWORD}"))), "a token of another user than AWS"),
        (answer(grant(encoded("AWS:"))), "no token but a password with blanks"),
        (answer(grant(encoded("AWS:" + " \n" * 50))), "no token but a password with blanks"),
        (answer(grant(expiresAt=None)), "says no expiry"),
        (answer(grant(expiresAt="2099-01-01")), "says no expiry"),
        (answer(grant(left=0)), "expired 0 s ago by AWS's own clock"),
        (answer(grant(left=-60)), "expired 60 s ago by AWS's own clock"),
        (answer(grant(left=31 * 86400)), "claims to live for more than 30 days"),
        (answer(grant(expiresAt=dt.datetime.min)), "an expiry that makes no sense"),  # noqa: DTZ901 - on purpose
        (answer(grant(expiresAt=dt.datetime.max.replace(tzinfo=dt.UTC))), "more than 30 days"),
    ],
)
def test_a_bad_answer_is_named_by_its_fault(given: dict[str, Any], fault: str) -> None:
    message = refusal(given)
    assert fault in message
    assert "so the old token stays" in message


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
tokens = st.one_of(
    json_values,
    st.text().map(lambda text: encoded(text.encode("utf-8", "replace").decode())),
    st.binary().map(lambda raw: base64.b64encode(raw).decode()),
    st.text(st.characters(exclude_categories=["Cs"])).map(lambda text: encoded("AWS:" + text)),
    st.text(st.characters(exclude_categories=["Cs"])).map(lambda text: encoded(f"AWS:{PASSWORD}{text}")),
)
moments = st.one_of(json_values, st.datetimes(), st.datetimes(timezones=st.just(dt.UTC)))
grants = st.fixed_dictionaries({}, optional={"authorizationToken": tokens, "expiresAt": moments})
answers = st.fixed_dictionaries(
    {}, optional={"authorizationData": st.one_of(json_values, grants, st.lists(grants | json_values, max_size=2))}
)


@given(answers, st.booleans())
def test_any_answer_is_a_credential_or_invalid_and_nothing_else(given: dict[str, Any], public: bool) -> None:
    try:
        credential = ecr.credential_from(given, NOW, public=public)
    except Failed as failed:
        assert failed.failure.reason is Reason.INVALID  # noqa: PT017 - the other way out is as good
    else:
        assert credential.username == "AWS"
        assert len(credential.secret.reveal()) >= budgets.TOKEN_MIN
        assert NOW < credential.expires_at <= NOW + ecr.LIFE_MAX_S


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12),
    st.sampled_from(["no base64 %s", "AWS%s", "bob:%s", "AWS:%s"]),
    st.sampled_from([None, -5.0, 40 * 86400.0]),
)
def test_nothing_of_the_token_is_in_the_message(secret: str, shape: str, left: float | None) -> None:
    text = shape % secret
    token = text if shape.startswith("no") else encoded(text)
    bad = grant(token, left=0.0 if left is None else left)
    message = refusal(answer(bad))
    assert secret not in message
    assert token not in message


# --- the real client against a stand-in ------------------------------------------------------------------------------
@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[EcrStandIn]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with EcrStandIn(TokenBook(life_s=100.0)) as stand_in:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASTANDIN")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_ENDPOINT_URL", stand_in.url)
        monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        yield stand_in


@pytest.mark.parametrize(("service", "region"), [("ecr", "eu-west-1"), ("ecr-public", "us-east-1")])
def test_a_token_is_fetched_for_service_and_region_with_one_call(
    stand_in: EcrStandIn, service: Any, region: str
) -> None:
    clock = AwsClock()
    credential = ecr.fetch(Aws(clock), clock, Principal(service, region))
    (call,) = stand_in.calls
    assert (call.action, call.service, call.region) == ("GetAuthorizationToken", service, region)
    assert credential.life == pytest.approx(100, abs=3)


def test_a_refusal_says_what_to_do_and_is_not_tried_again(stand_in: EcrStandIn) -> None:
    stand_in.next(Denied())
    clock = AwsClock()
    with pytest.raises(Failed) as caught:
        ecr.fetch(Aws(clock), clock, Principal("ecr", "us-east-1"))
    assert caught.value.failure.fix == "Allow ecr:GetAuthorizationToken on *"
    assert caught.value.failure.reason is Reason.DENIED
    assert len(stand_in.calls) == 1


def test_throttling_is_throttled_and_is_not_tried_again(stand_in: EcrStandIn) -> None:
    stand_in.next(Throttled())
    clock = AwsClock()
    with pytest.raises(Failed) as caught:
        ecr.fetch(Aws(clock), clock, Principal("ecr", "us-east-1"))
    assert caught.value.failure.reason is Reason.THROTTLED
    assert len(stand_in.calls) == 1


def test_the_own_registry_is_found_out_by_sts(stand_in: EcrStandIn) -> None:
    host = ecr.own_host(Aws(AwsClock()), Principal("ecr", "eu-west-1"))
    assert host == "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    assert [call.action for call in stand_in.calls] == ["GetCallerIdentity"]


class Answers:
    """An `Aws` whose STS and ECR answer as they are told."""

    def __init__(self, sts: object, ecr: object = None) -> None:
        self._answers = {"sts": sts, "ecr": ecr}

    def call(self, _doing: object, _principal: Principal, service: str, _operation: str) -> Any:
        told = self._answers[service]
        if isinstance(told, Failed):
            raise told
        return told


def test_in_china_the_own_registry_has_china_s_suffix() -> None:
    aws: Any = Answers({"Account": "123456789012", "Arn": "arn:aws-cn:iam::123456789012:user/x"})
    assert ecr.own_host(aws, Principal("ecr", "cn-north-1")) == "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"


def test_a_network_that_lets_only_ecr_through_finds_out_by_the_token_s_answer() -> None:
    endpoint = {"authorizationData": [{"proxyEndpoint": "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"}]}
    aws: Any = Answers(Failed(Reason.TRANSIENT, "no STS"), endpoint)
    assert ecr.own_host(aws, Principal("ecr", "eu-west-1")) == "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.mark.parametrize("told", [{}, {"authorizationData": []}, {"authorizationData": [{"proxyEndpoint": "host"}]}])
def test_an_answer_that_names_no_registry_asks_for_its_name(told: dict[str, Any]) -> None:
    aws: Any = Answers({}, told)
    with pytest.raises(Failed) as caught:
        ecr.own_host(aws, Principal("ecr", "eu-west-1"))
    assert caught.value.failure.fix == "Name the registry under 'registries' in the settings"


@pytest.mark.parametrize(
    ("service", "call", "told"), [("ssm", "get_parameter", False), ("sts", "get_caller_identity", True)]
)
def test_the_clock_is_not_that_of_a_store_of_secrets(
    stand_in: EcrStandIn, monkeypatch: pytest.MonkeyPatch, service: str, call: str, told: bool
) -> None:
    class Store(StandIn):
        def respond(self, exchange: Exchange) -> None:
            exchange.send(Reply.json(400, {"__type": "AccessDeniedException"}))

    clock = AwsClock()
    with Store(date_offset_s=-1e8) as store:
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service.upper()}", store.url)
        request: dict[str, Any] = {"Name": "/x"} if service == "ssm" else {}
        with pytest.raises(Failed):
            Aws(clock).call(Doing("asking", "us-east-1"), Principal("ecr", "us-east-1"), service, call, **request)
    assert (clock.offset is not None) is told
