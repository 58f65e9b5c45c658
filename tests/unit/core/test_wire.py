"""What supervisor and worker say to each other: jobs and lines come back as they were, garbage is a ValueError."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher.core import cleanup_rules, plan, wire
from ecr_refresher.core.model import Failure, Outcome, Reason

texts = st.text(max_size=12)
seconds = st.floats(allow_nan=False, allow_infinity=False)
maybe_text, maybe_seconds = st.none() | texts, st.none() | seconds
failures = st.builds(Failure, st.sampled_from(Reason), texts, texts, st.booleans())
secret_refs = st.none() | st.builds(plan.SecretRef, st.sampled_from(["file", "env"]), texts)
maybe = st.none() | st.booleans()


def several(one: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(one, max_size=3).map(tuple)


roles = st.builds(plan.Role, texts, maybe_text, maybe_text)
principals = st.builds(
    plan.Principal,
    st.sampled_from(["ecr", "ecr-public"]),
    texts,
    several(roles),
    maybe_text,
    maybe_text,
    maybe,
    maybe,
    maybe_text,
)
registries = st.builds(
    plan.Registry,
    texts,
    texts,
    principals,
    st.booleans(),
    maybe_text,
    maybe_text,
    maybe_text,
    st.booleans(),
    maybe_text,
)
connections = st.builds(plan.Connection, texts, texts, st.booleans(), maybe_text, st.booleans())

airflows = st.builds(plan.Airflow, texts, texts, several(connections), maybe_text, secret_refs, secret_refs, maybe_text)
engines = st.none() | st.builds(plan.Engine, texts, maybe_text, maybe_text, maybe_text)
numbers = st.none() | st.integers(0, 2**31)
dockers = st.builds(
    plan.DockerConfig, texts, several(texts), st.integers(0, 0o777), numbers, numbers, engines, st.booleans()
)
refreshes = st.builds(plan.Refresh, seconds, seconds, maybe_seconds, seconds, seconds, seconds, seconds, st.booleans())
servers = st.builds(plan.Server, texts, st.integers(0, 65535), maybe_text, maybe_text)
sizes = st.none() | st.integers(0, 2**50)
containers = st.builds(
    cleanup_rules.ContainerRules, st.booleans(), seconds, st.booleans(), several(texts), several(texts)
)
images = st.builds(
    cleanup_rules.ImageRules,
    st.booleans(),
    maybe_seconds,
    seconds,
    sizes,
    seconds,
    several(texts),
    st.booleans(),
)
cleanups = st.builds(
    plan.Cleanup,
    st.booleans(),
    st.builds(plan.Engine, texts),
    seconds,
    st.booleans(),
    texts,
    maybe_text,
    containers,
    images,
    sizes,
)
plans = st.builds(
    plan.Plan,
    several(registries),
    several(airflows),
    several(dockers),
    refreshes,
    servers,
    st.builds(plan.Log, texts, texts),
    maybe_text,
    cleanups,
)
loads = st.builds(wire.Load, maybe_text, maybe_text, maybe_text)
orders = st.builds(wire.Order, texts, texts, maybe_seconds, st.booleans())
jobs = st.builds(
    wire.Job,
    st.integers(),
    seconds,
    st.none() | loads,
    st.none() | plans,
    st.none() | several(orders),
    st.dictionaries(texts, seconds, max_size=2),
    st.dictionaries(texts, texts, max_size=2),
    maybe_seconds,
    st.booleans(),
    st.booleans(),
    st.sampled_from(["pass", "cleanup", "listen"]),
    several(texts),
    st.booleans(),
)
lines: st.SearchStrategy[wire.Line] = st.one_of(
    st.builds(wire.Planned, plans, maybe_text, st.dictionaries(texts, texts, max_size=2)),
    st.builds(wire.Refused, several(texts)),
    st.builds(wire.Clock, seconds, seconds),
    st.builds(wire.Looked, texts, texts, maybe_seconds, st.booleans(), texts, maybe_seconds, maybe_text),
    st.builds(wire.Fetched, texts, seconds, maybe_seconds, maybe_seconds, st.none() | failures),
    st.builds(wire.Proved, texts, texts, st.none() | failures),
    st.builds(
        wire.Delivered,
        texts,
        texts,
        st.sampled_from(Outcome),
        seconds,
        maybe_seconds,
        maybe_seconds,
        maybe_text,
        st.booleans(),
        maybe_text,
        st.none() | failures,
    ),
    st.just(wire.Listening()),
    st.builds(wire.Removed, texts, texts, st.integers(0), st.booleans()),
    st.builds(wire.Hindered, texts, failures, maybe_text),
    st.builds(
        wire.Swept,
        st.booleans(),
        seconds,
        sizes,
        sizes,
        sizes,
        st.integers(0),
        st.dictionaries(texts, st.integers(0), max_size=2),
        st.booleans(),
        st.booleans(),
    ),
    st.just(wire.Done()),
)


@given(jobs)
def test_a_job_comes_out_as_it_went_in(job: wire.Job) -> None:
    assert wire.load_job(wire.dump_job(job)) == job


@given(st.integers(), lines)
def test_a_line_comes_out_as_it_went_in_and_is_one_line(job: int, line: wire.Line) -> None:
    text = wire.dump_line(job, line)
    assert text.endswith(b"\n")
    assert text.count(b"\n") == 1
    assert wire.load_line(text) == (job, line)


@given(st.binary())
def test_any_bytes_are_a_line_or_a_value_error(text: bytes) -> None:
    for load in (wire.load_line, wire.load_job):
        with contextlib.suppress(ValueError):
            load(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "7",
        "[]",
        "{}",
        '{"job": 1}',
        '{"line": {"type": "done"}}',
        '{"job": "1", "line": {"type": "done"}}',
        '{"job": null, "line": {"type": "done"}}',
        '{"job": true, "line": {"type": "done"}}',
        '{"job": 1, "line": {"type": "done"}, "more": {}}',
        '{"job": 1, "line": {"type": "gone"}}',
        '{"job": 1, "line": {"type": "Done"}}',
        '{"job": 1, "line": {}}',
        '{"job": 1, "line": []}',
        '{"job": 1, "line": {"type": "done", "a": 1}}',
        '{"job": 1, "line": {"type": "clock", "offset": NaN, "skew": 0}}',
        '{"job": 1, "line": {"type": "clock", "offset": 0, "skew": 1e999}}',
        '{"job": 1, "line": {"type": "delivered", "sink": "s", "registry": "r", "outcome": "wonderful"}}',
        '{"job": 1, "line": {"type": "looked", "sink": "s"}}',
        '{"job": 1, "line": {"type": "done"}} trailing',
    ],
)
def test_what_is_no_report_line_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever it is, the worker has gone mad
        wire.load_line(text.encode())


@pytest.mark.parametrize("load", [wire.load_line, wire.load_job])
def test_a_text_nested_without_end_is_refused_like_any_other(load: Any) -> None:
    with pytest.raises(ValueError, match="not a"):
        load(b"[" * (wire.LINE_MAX - 1))


def test_a_refused_line_does_not_show_what_it_held() -> None:
    held = "QVdTOmV5SnB"
    raw = {"job": 1, "line": {"type": "fetched", "principal": held, "duration_s": held}}
    with pytest.raises(ValueError, match=r"duration_s$") as caught:
        wire.load_line(json.dumps(raw).encode())
    assert held not in str(caught.value)


def test_a_plan_of_a_thousand_slots_fits_into_one_line() -> None:
    host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    principal = plan.Principal("ecr", "us-east-1", (plan.Role("arn:aws:iam::123456789012:role/ecr-pull"),))
    many = tuple(plan.Connection(f"docker_connection_of_team_{number:04}", host) for number in range(1000))
    airflow = plan.Airflow("prod", "https://airflow.example.com", many)
    big = plan.Plan((plan.Registry(host, host, principal),), (airflow,))
    assert len(wire.dump_line(1, wire.Planned(big))) < wire.LINE_MAX
