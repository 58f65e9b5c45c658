"""Dataclasses to JSON and back: what went in comes out, what does not fit is refused without being shown."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher.core import codec
from ecr_refresher.core.model import Reason, Secret

NEVER_SHOWN = "do-not-show-me"


@dataclass(frozen=True)
class Inner:
    reason: Reason
    pair: tuple[int, str] = (0, "")


@dataclass(frozen=True)
class Outer:
    name: str
    seconds: float
    count: int = 0
    flag: bool = False
    kind: Literal["a", "b"] = "a"
    maybe: float | None = None
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    by_name: dict[str, float] = field(default_factory=dict)


finite = st.floats(allow_nan=False, allow_infinity=False)
inners = st.builds(Inner, st.sampled_from(Reason), st.tuples(st.integers(), st.text()))
outers = st.builds(
    Outer,
    st.text(),
    finite,
    st.integers(),
    st.booleans(),
    st.sampled_from(["a", "b"]),
    st.none() | finite,
    st.none() | inners,
    st.lists(inners, max_size=3).map(tuple),
    st.dictionaries(st.text(), finite, max_size=3),
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(outers)
def test_what_is_encoded_comes_back_the_same_through_json(value: Outer) -> None:
    assert codec.decode(Outer, json.loads(json.dumps(codec.encode(value)))) == value


@given(json_values)
def test_garbage_is_a_value_error_and_nothing_else(raw: Any) -> None:
    for kind in (Outer, Inner):
        with contextlib.suppress(ValueError):
            assert isinstance(codec.decode(kind, raw), kind)


def test_what_is_not_there_takes_no_room() -> None:
    assert codec.encode(Inner(Reason.MISSING)) == {"reason": "missing", "pair": [0, ""]}
    assert "maybe" not in codec.encode(Outer("n", 1.0))


def test_whole_numbers_pass_for_seconds() -> None:
    seconds = codec.decode(Outer, {"name": "n", "seconds": 3}).seconds
    assert isinstance(seconds, float)


GOOD: dict[str, Any] = {"name": "n", "seconds": 1.5}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": 7}, "Outer.name: expected a str"),
        ({"name": None}, "Outer.name: expected a str"),
        ({"seconds": NEVER_SHOWN}, "Outer.seconds: expected a number"),
        ({"seconds": True}, "Outer.seconds: expected a number"),
        ({"seconds": float("nan")}, "Outer.seconds: expected a number"),
        ({"seconds": float("inf")}, "Outer.seconds: expected a number"),
        ({"seconds": 10**400}, "Outer.seconds: expected a number"),
        ({"count": 1.0}, "Outer.count: expected a whole number"),
        ({"count": True}, "Outer.count: expected a whole number"),
        ({"flag": 1}, "Outer.flag: expected a bool"),
        ({"kind": NEVER_SHOWN}, "Outer.kind: expected a or b"),
        ({"kind": ["a"]}, "Outer.kind: expected a or b"),
        ({"maybe": NEVER_SHOWN}, "Outer.maybe: expected a number"),
        ({"inner": NEVER_SHOWN}, "Outer.inner: expected an object"),
        ({"inner": {"reason": NEVER_SHOWN}}, "Outer.inner.reason: expected a Reason"),
        ({"inner": {"reason": ["denied"]}}, "Outer.inner.reason: expected a Reason"),
        ({"inner": {}}, "Outer.inner: a field is missing"),
        ({"many": {"reason": NEVER_SHOWN}}, "Outer.many: expected a list"),
        ({"many": [{"reason": "denied"}, NEVER_SHOWN]}, r"Outer.many\[1\]: expected an object"),
        ({"many": [{"reason": "denied", "pair": [1]}]}, r"Outer.many\[0\].pair: expected a list of 2"),
        ({"many": [{"reason": "denied", "pair": [1, 2]}]}, r"Outer.many\[0\].pair\[1\]: expected a str"),
        ({"by_name": [NEVER_SHOWN]}, "Outer.by_name: expected an object"),
        ({"by_name": {"a": NEVER_SHOWN}}, "Outer.by_name.a: expected a number"),
        ({"nmae": NEVER_SHOWN}, "Outer: expected no field of name nmae"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_place_and_not_shown(change: dict[str, Any], place: str) -> None:
    assert codec.decode(Outer, GOOD) == Outer("n", 1.5)
    with pytest.raises(ValueError, match=place) as caught:
        codec.decode(Outer, {**GOOD, **change})
    assert NEVER_SHOWN not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("raw", [None, [], "text", 7, True])
def test_only_an_object_is_a_dataclass(raw: Any) -> None:
    with pytest.raises(ValueError, match="Outer: expected an object"):
        codec.decode(Outer, raw)


def test_a_secret_has_no_way_into_a_line() -> None:
    @dataclass(frozen=True)
    class Careless:
        password: Secret

    for value in (Secret(NEVER_SHOWN), [Secret(NEVER_SHOWN)], {"a": Secret(NEVER_SHOWN)}, Careless(Secret("x"))):
        with pytest.raises(TypeError, match="Secret has no place in a job or report line") as caught:
            codec.encode(value)
        assert NEVER_SHOWN not in str(caught.value)


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object(), Outer])
def test_nothing_but_plain_values_is_encoded(value: Any) -> None:
    with pytest.raises(TypeError, match="has no place"):
        codec.encode(value)
