"""A tree of texts against the schema: pydantic's errors, each in our words and without the value."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ..problems import Place, Problems, Tree, did_you_mean, way
from ..schema.airflow import WAYS
from ..schema.section import Section
from ..schema.sections import Settings
from ..surroundings import Surroundings

_KEY_BY_KEY = ("is not a mapping", "Write `key: value` lines below it")
_SINGLE = ("is a list or a mapping", "Write a single value")
_SAID: Mapping[str, tuple[str, str]] = {
    "model_type": _KEY_BY_KEY,
    "dict_type": _KEY_BY_KEY,
    "model_attributes_type": _KEY_BY_KEY,
    "list_type": ("is not a list", "Write `- ` before each entry"),
    "string_type": _SINGLE,
    "string_too_short": ("is empty", "Write a value, or remove the key"),
    "float_parsing": ("is not a number", "Write one such as 0.5"),
    "float_type": ("is not a number", "Write one such as 0.5"),
    "greater_than": ("must be above {gt:g}", "Write a larger number"),
    "greater_than_equal": ("must not be below {ge:g}", "Write a larger number"),
    "less_than": ("must be below {lt:g}", "Write a smaller number"),
}
_OTHER = ("is not of the right kind", "See docs/settings.md")
_SECRETS = ("password", "token", "client_secret")


def validate(problems: Problems, surroundings: Surroundings | None = None) -> Settings:
    """The settings in the tree of `problems`. What is wrong is noted there and left out, so that the rest is judged."""
    tree = problems.tree
    while True:
        try:
            return Settings.model_validate(tree, context=surroundings)
        except ValidationError as refused:
            # Never `str(refused)` or its inputs: they show what was written, secrets too.
            found = [(_place(error), error) for error in refused.errors(include_url=False, include_input=False)]
        if tree is problems.tree:
            tree = copy.deepcopy(tree)  # the original is needed to name places
        for place, error in found:
            problems.error(place, *_said(error, place))
            faulty = place[:-1] if len(place) > 2 and isinstance(place[-1], int) else place  # a list of names
            problems.spoil(faulty)
            _leave_out(tree, faulty)


def _place(error: ErrorDetails) -> Place:
    """An error's place. pydantic adds the way into Airflow behind the entry's number."""
    place = error["loc"]
    if error["type"] == "union_tag_invalid":
        return (*place, "kind")
    return (*place[:2], *place[3:]) if place[0] == "airflow" and len(place) > 2 else place


def _said(error: ErrorDetails, place: Place) -> tuple[str, str]:
    context = error.get("ctx", {})
    if error["type"] == "said":
        return context["what"], context["fix"]
    if error["type"] == "value_error":
        return context["error"].what, context["error"].fix
    if error["type"] == "extra_forbidden":
        return _unknown(str(place[-1]), error["loc"])
    if error["type"] == "union_tag_invalid":
        return f"is none of api, {', '.join(way[6:] for way in WAYS if way.startswith('kind'))}", "Write one of them"
    what, fix = _SAID.get(error["type"], _OTHER)
    return what.format(**context), fix


def _unknown(key: str, location: Place) -> tuple[str, str]:
    if key in _SECRETS:
        return (
            "is a secret, and none belongs into the settings",
            f"Put it into a file and name that as {key}_file, or into a variable and name that as {key}_env",
        )
    others = [name for name, model in WAYS.items() if key in model.model_fields]
    if others and location[0] == "airflow" and len(location) == 4:
        return f"goes with {' or '.join(others)}, not with {location[2]}", "Remove one of them"
    return "is not a known key", did_you_mean(key, _section(location[:-1]).model_fields)


def _section(location: Place) -> type[Section]:
    """The section that an error's location leads to."""
    found: Any = Settings
    for step in location:
        while get_origin(found) is Annotated:
            found = get_args(found)[0]
        if isinstance(found, type) and issubclass(found, Section):
            found = found.model_fields[str(step)].annotation
        elif get_origin(found) in (list, dict):
            found = get_args(found)[-1]
        else:
            found = WAYS[str(step)]
    while get_origin(found) is Annotated:
        found = get_args(found)[0]
    section: type[Section] = found
    return section


def _leave_out(tree: dict[str, Tree], place: Place) -> None:
    """Take what is wrong out of the tree. An entry of a list becomes an empty one: the others keep their numbers."""
    *_, (last, node) = way(tree, place)
    if isinstance(node, list):
        node[int(last)] = {}
    elif last == "mwaa_environment":  # which makes the entry one of MWAA
        node[last] = "faulty"
    else:
        node.pop(last, None)
