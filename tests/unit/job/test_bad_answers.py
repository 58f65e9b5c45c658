"""Whatever AWS answers: nonsense is `invalid`, the old credential stays, and nothing of the answer is told."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecr_refresher import logs
from ecr_refresher.boot_clock import boot_time
from ecr_refresher.core import wire
from ecr_refresher.core.model import Failed, Outcome, Reason
from ecr_refresher.core.plan import PRIVATE, PUBLIC, DockerConfig, Plan, Principal, Refresh, Registry
from ecr_refresher.job.aws import ecr as source
from ecr_refresher.job.aws.clients import Aws
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.aws.errors import Doing
from ecr_refresher.job.refresh.refresh_pass import RefreshPass
from ecr_refresher.job.refresh.tools import RealTools
from tests.testbed.standins.ecr import JSON_11, EcrStandIn
from tests.testbed.standins.script import HalfAnswer, Malformed
from tests.testbed.standins.tokens import TokenBook

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
MARK = "s3cr3tOfThisVeryAnswer"  # in every token of every answer
GOOD = base64.b64encode(f"AWS:{MARK}{'x' * 200}".encode()).decode()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def now() -> float:
    return time.time()


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.just(MARK) | st.text(max_size=20)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
not_texts = values.filter(lambda value: not isinstance(value, str))
bad_tokens = st.one_of(
    not_texts,
    st.sampled_from(["", MARK + "!", encoded(MARK), encoded("AWS:"), encoded("AWS: "), encoded(f"root:{MARK}")]),
    st.just(f"{MARK}-" * 50_000),
    st.just("\u00fc" + GOOD),
    st.just(encoded(MARK) + "=" * 7),
)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
past = st.builds(lambda ago, zone: datetime.fromtimestamp(now() - ago, zone).isoformat(), st.integers(1, 2**31), zones)
bad_dates: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, [], {}, "soon", "", MARK, True, "99999-01-01T00:00:00Z", 1e300, 10**18, 253402300800]),
    st.integers(-(2**40), 1_600_000_000),
    past,
    st.integers(40, 36500).map(lambda days: now() + days * 86400),  # further than any token's
)


def grant(**changed: object) -> dict[str, object]:
    good: dict[str, object] = {"authorizationToken": GOOD, "expiresAt": now() + 43200}
    return {key: value for key, value in {**good, **changed}.items() if value != "left out"}


bad_grants = st.one_of(
    bad_tokens.map(lambda token: grant(authorizationToken=token)),
    bad_dates.map(lambda date: grant(expiresAt=date)),
    st.sampled_from([grant(authorizationToken="left out"), grant(expiresAt="left out"), {}, {"password": MARK}]),
)
not_objects = values.filter(lambda value: not isinstance(value, dict))


def bodies(public: bool) -> st.SearchStrategy[bytes]:
    """Bodies of answers, none of which holds a good token."""
    wrapped = bad_grants if public else bad_grants.map(lambda grant: [grant])
    other = st.one_of(not_objects if public else values.filter(lambda value: not _may_be_good(value)))
    answers = st.one_of(wrapped, other).map(lambda data: json.dumps({"authorizationData": data}).encode())
    whole = st.one_of(values.map(lambda value: json.dumps(value).encode()), st.binary(max_size=60))
    return st.one_of(answers, answers, whole, st.just(b'{"authorizationData":' * 2000))


def _may_be_good(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and "authorizationToken" in value[0]


@dataclass
class Bench:
    """One file that is kept, the real client, and ECR's stand-in."""

    ecr: EcrStandIn
    aws: Aws
    clock: AwsClock
    file: Path
    lines: list[wire.Line] = field(default_factory=list)

    def force(self, service: Any) -> list[wire.Line]:
        host = HOST if service == PRIVATE else "public.ecr.aws"
        registry = Registry(host, host, Principal(service, "us-east-1", endpoint_url=self.ecr.url))
        plan = Plan((registry,), dockers=(DockerConfig(str(self.file), (host,)),), refresh=Refresh(prove=False))
        self.lines.clear()
        tools = RealTools(plan, self.clock, self.lines.append)
        tools.aws = lambda: self.aws  # type: ignore[method-assign]
        asyncio.run(RefreshPass(wire.Job(1, boot_time() + 30, plan=plan, force=True), plan, tools).run())
        return self.lines


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    for name in ("HTTP_PROXY", "http_proxy", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-no-worth-in-this-test")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    logs.configure("debug", "json")
    clock = AwsClock()
    with EcrStandIn(TokenBook()) as ecr:
        yield Bench(ecr, Aws(clock), clock, tmp_path / "config.json")
    assert ecr.crashes == []


@pytest.mark.parametrize("service", [PRIVATE, PUBLIC])
def test_a_bad_answer_is_invalid_keeps_the_old_credential_and_is_not_told(
    bench: Bench, service: str, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.force(service)
    kept = bench.file.read_bytes()
    assert kept

    @settings(max_examples=300, suppress_health_check=list(HealthCheck))
    @given(bodies(service == PUBLIC))
    def check(body: bytes) -> None:
        bench.ecr.next(Malformed(body, 200, JSON_11))
        lines = bench.force(service)
        (fetched,) = (line for line in lines if isinstance(line, wire.Fetched))
        assert fetched.failure is not None
        assert fetched.failure.reason is Reason.INVALID, fetched.failure
        assert [line.outcome for line in lines if isinstance(line, wire.Delivered)] == [Outcome.FAILED]
        assert bench.file.read_bytes() == kept
        told = b"".join(wire.dump_line(1, line) for line in lines).decode() + "".join(capfd.readouterr())
        assert "token_fetch_failed" in told
        for secret in (MARK, encoded(MARK)[:20], GOOD[10:40]):
            assert secret not in told

    check()
    bench.force(service)  # and a good answer is taken again
    (delivered,) = (line for line in bench.lines if isinstance(line, wire.Delivered))
    assert delivered.outcome is Outcome.WRITTEN


def test_an_answer_of_null_is_invalid(bench: Bench) -> None:
    bench.ecr.next(Malformed(b"null", 200, JSON_11))
    principal = Principal("ecr", "us-east-1", endpoint_url=bench.ecr.url)
    with pytest.raises(Failed, match="the answer makes no sense") as caught:
        bench.aws.call(Doing("asking", "us-east-1"), principal, PRIVATE, "get_authorization_token")
    assert caught.value.failure.reason is Reason.INVALID


def test_half_an_answer_is_a_broken_connection(bench: Bench) -> None:
    bench.ecr.next(HalfAnswer())
    (fetched,) = (line for line in bench.force(PRIVATE) if isinstance(line, wire.Fetched))
    assert fetched.failure is not None
    assert fetched.failure.reason is Reason.TRANSIENT
    assert "broke" in fetched.failure.message


@given(st.integers(60, 86400), zones)
def test_an_expiry_of_another_zone_is_the_same_moment(left: int, zone: timezone) -> None:
    moment = datetime.fromtimestamp(int(now()) + left, zone)
    answer = {"authorizationData": [{"authorizationToken": GOOD, "expiresAt": moment}]}
    assert source.credential_from(answer, now()).expires_at == moment.astimezone(UTC).timestamp()
