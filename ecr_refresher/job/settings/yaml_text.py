"""A tree of settings as YAML lines, with remarks. PyYAML writes the scalars; it can't write remarks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from ... import logs
from .problems import Place

Remark = Callable[[Place], "str | None"]


def dump(tree: dict[str, Any], remark: Remark, place: Place = ()) -> Iterator[str]:
    """The lines of a mapping. A remark is asked for at each scalar, and at each list of scalars."""
    for key, value in tree.items():
        there = (*place, key)
        said = None if _is_deep(value) else remark(there)
        text = "" if isinstance(value, dict | list) else f" {scalar(value)}"
        yield f"{scalar(key)}:{text}" + (f"  # {scalar(said)}" if said else "")
        if isinstance(value, dict):
            yield from (f"  {line}" for line in dump(value, remark, there))
        elif isinstance(value, list):
            yield from (
                f"  {line}" for index, entry in enumerate(value) for line in _entry(entry, remark, (*there, index))
            )


def _is_deep(value: object) -> bool:
    """Whether there are keys below it, which have remarks of their own."""
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_is_deep, value)))


def _entry(entry: object, remark: Remark, place: Place) -> Iterator[str]:
    first, *rest = dump(entry, remark, place) if isinstance(entry, dict) else [scalar(entry)]
    yield f"- {first}"
    yield from (f"  {line}" for line in rest)


def scalar(value: object) -> str:
    """One value in YAML, on one line. What looks like a secret is masked: it is in a wrong place."""
    shown = logs.redact(value) if isinstance(value, str) else value
    if isinstance(shown, str) and not shown.isprintable():
        return json.dumps(shown)
    return str(yaml.safe_dump(shown, width=float("inf"), allow_unicode=True)).removesuffix("\n").removesuffix("\n...")
