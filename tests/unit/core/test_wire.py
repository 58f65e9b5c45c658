"""What supervisor and worker say to each other: jobs and lines come back as they were, garbage is a ValueError."""

from __future__ import annotations

import contextlib
import json
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher.core import plan, wire
from ecr_refresher.core.model import Failure, Outcome, Reason
from ecr_refresher.daemon.workers import TOTAL_MAX

SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=12),
    float: st.floats(allow_nan=False, allow_infinity=False),
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    type(None): st.none(),
}


@cache
def every(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type, with every field of every record in them drawn."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    parts = get_args(kind)
    match get_origin(kind):
        case origin if origin is Union or origin is UnionType:
            return st.one_of(*map(every, parts))
        case origin if origin is Literal:
            return st.sampled_from(parts)
        case origin if origin is tuple:
            return st.lists(every(parts[0]), max_size=3).map(tuple)
        case origin if origin is dict:
            return st.dictionaries(*map(every, parts), max_size=2)
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    hints = get_type_hints(kind)
    return st.builds(kind, **{field: every(hints[field]) for field in kind.__struct_fields__})


@given(every(wire.Job))
def test_a_job_comes_out_as_it_went_in(job: wire.Job) -> None:
    assert wire.load_job(wire.dump_job(job)) == job


@given(SIMPLE[int], every(wire.Line))
def test_a_line_comes_out_as_it_went_in_and_is_one_line(job: int, line: wire.Line) -> None:
    text = wire.dump_line(job, line)
    assert text.endswith(b"\n")
    assert text.count(b"\n") == 1
    assert wire.load_line(text) == (job, line)


def test_a_name_that_is_not_utf_8_is_escaped_in_an_error_and_ends_no_job() -> None:
    def line(name: str) -> wire.Line:
        return wire.Delivered("docker//x", "r", Outcome.FAILED, failure=Failure(Reason.DENIED, f"no {name}", name))

    assert wire.load_line(wire.dump_line(1, line("/x/\udcff"))) == (1, line(r"/x/\udcff"))
    assert wire.load_line(wire.dump_line(1, wire.Refused(("/\udcff",)))) == (1, wire.Refused((r"/\udcff",)))


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
    with pytest.raises(ValueError):  # noqa: PT011
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


HUGE = Failure(Reason.INVALID, "\x1b" * (1 << 20), "x" * (1 << 20))


@pytest.mark.parametrize(
    "line",
    [
        wire.Fetched("ecr/us-east-1", 0.1, failure=HUGE),
        wire.Proved("own", "registry", HUGE),
        wire.Delivered("docker//config.json", "own", Outcome.FAILED, failure=HUGE),
        wire.Hindered("image", HUGE),
        wire.Refused((HUGE.message, HUGE.fix)),
    ],
    ids=lambda line: type(line).__name__,
)
def test_a_huge_error_is_cut_and_breaks_no_limit(line: wire.Line) -> None:
    """A thousand slots may meet it, and each of its characters may take six bytes."""
    text = wire.dump_line(7, line)
    assert 1000 * len(text) <= TOTAL_MAX
    assert wire.load_line(text)
    said = json.loads(text)["line"]
    texts = said.get("errors") or [said["failure"][name] for name in ("message", "fix")]
    assert [text[-1] for text in texts] == ["…", "…"]
    assert [text[:100] for text in texts] == ["\x1b" * 100, "x" * 100]


def test_a_plan_of_a_thousand_slots_fits_into_one_line() -> None:
    host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    principal = plan.Principal("ecr", "us-east-1", (plan.Role("arn:aws:iam::123456789012:role/ecr-pull"),))
    many = tuple(plan.Connection(f"docker_connection_of_team_{number:04}", host) for number in range(1000))
    airflow = plan.Airflow("prod", "https://airflow.example.com", many)
    big = plan.Plan((plan.Registry(host, host, principal),), (airflow,))
    assert len(wire.dump_line(1, wire.Planned(big))) < wire.LINE_MAX
