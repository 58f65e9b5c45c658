"""Frozen dataclasses to JSON and back, by their type hints, strictly: what does not fit raises ValueError.

Small enough to need no library, which would cost the resident daemon more memory than all of its own code.
"""

from __future__ import annotations

import sys
import types
import typing
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

T = TypeVar("T")

FLOAT_MAX = sys.float_info.max  # JSON as Python reads it knows NaN and Infinity; no time or duration is one


def encode(value: Any) -> Any:
    """Give `value` as plain JSON types; fields that hold their default of None are left out."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(name): encode(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((name, getattr(value, name)) for name in _names(type(value)))
        return {name: encode(item) for name, item in pairs if item is not None}
    raise TypeError(f"{type(value).__name__} has no place in a job or report line")  # a Secret ends here


def decode(kind: type[T], raw: Any) -> T:
    """Build a `kind` from plain JSON types.

    Raises ValueError that names the place; the values themselves are not shown.
    """
    return typing.cast("T", _decode(kind, raw, kind.__name__))


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _decode(kind: Any, raw: Any, place: str) -> Any:
    origin = get_origin(kind)
    if is_dataclass(kind):
        return _decode_dataclass(kind, raw, place)
    if origin in (Union, types.UnionType):
        if raw is None:
            return None
        (inner,) = (arm for arm in get_args(kind) if arm is not type(None))
        return _decode(inner, raw, place)
    if origin is tuple:
        _want(isinstance(raw, list), place, "a list")
        arms = get_args(kind)
        if arms[-1] is Ellipsis:
            return tuple(_decode(arms[0], item, f"{place}[{index}]") for index, item in enumerate(raw))
        _want(len(raw) == len(arms), place, f"a list of {len(arms)}")
        return tuple(
            _decode(arm, item, f"{place}[{index}]") for index, (arm, item) in enumerate(zip(arms, raw, strict=True))
        )
    if origin is dict:
        _want(isinstance(raw, dict), place, "an object")
        return {name: _decode(get_args(kind)[1], item, f"{place}.{name}") for name, item in raw.items()}
    if origin is Literal:
        _want(raw in get_args(kind), place, " or ".join(map(str, get_args(kind))))
        return raw
    return _decode_scalar(kind, raw, place)


def _decode_dataclass(kind: Any, raw: Any, place: str) -> Any:
    _want(isinstance(raw, dict), place, "an object")
    hints = _hints(kind)
    unknown = raw.keys() - hints.keys()
    _want(not unknown, place, f"no field of name {', '.join(sorted(unknown))}")
    try:
        return kind(**{name: _decode(hints[name], item, f"{place}.{name}") for name, item in raw.items()})
    except TypeError:
        raise ValueError(f"{place}: a field is missing") from None


def _decode_scalar(kind: Any, raw: Any, place: str) -> Any:
    if kind is float:
        _want(isinstance(raw, int | float) and not isinstance(raw, bool) and abs(raw) <= FLOAT_MAX, place, "a number")
        return float(raw)
    if kind is int:
        _want(isinstance(raw, int) and not isinstance(raw, bool), place, "a whole number")
        return raw
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        _want(isinstance(raw, str) and raw in kind.__members__.values(), place, f"a {kind.__name__}")
        return kind(raw)
    _want(isinstance(raw, kind), place, f"a {kind.__name__}")
    return raw


def _want(fits: bool, place: str, what: str) -> None:
    if not fits:
        raise ValueError(f"{place}: expected {what}")
