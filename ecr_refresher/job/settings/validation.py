"""A tree of texts against the schema: pydantic's errors, each in our words and without the value."""

from collections.abc import Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from .problems import Place, Problems, Spot, Tree, way
from .schema.sections import Settings
from .surroundings import Surroundings

_SAID: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("model_type", "dict_type"), ("is not a mapping", "Write `key: value` lines below it")),
    "list_type": ("is not a list", "Write `- ` before each entry"),
    "string_type": ("is empty", "Write a value, or remove it"),  # nothing but a null gets here
    "literal_error": ("is none of {expected}", "Write one of them"),
    "union_tag_invalid": ("is none of api, secrets_file, secrets_manager, parameter_store", "Write one of them"),
    **dict.fromkeys(("bool_parsing", "bool_type"), ("is neither true nor false", "Write one of them")),
    **dict.fromkeys(("float_parsing", "float_type"), ("is not a number", "Write one such as 0.5")),
    "greater_than": ("must be above {gt:g}", "Write a larger number"),
    "greater_than_equal": ("must not be below {ge:g}", "Write a larger number"),
    "less_than": ("must be below {lt:g}", "Write a smaller number"),
}


def validate(problems: Problems, surroundings: Surroundings | None = None) -> Settings:
    """Validate the tree of `problems`. Wrong values are noted there and left out, so that the rest is judged."""
    while True:
        try:
            return Settings.model_validate(problems.tree, context=surroundings)
        except ValidationError as refused:
            # Never `str(refused)` or its inputs: they show what was written, secrets too.
            found = [(_place(error), error) for error in refused.errors(include_url=False, include_input=False)]
        for place, error in found:
            Spot(problems, place).error(*_said(error))
            problems.spoiled.add(_faulty(place))
        for place, _ in found:
            _leave_out(problems.tree, _faulty(place))


def _faulty(place: Place) -> Place:
    """The place to leave out for an error: for a name in a list, the whole list."""
    return place[:-1] if len(place) > 2 and isinstance(place[-1], int) else place


def _place(error: ErrorDetails) -> Place:
    """An error's place. pydantic adds the way into Airflow behind the entry's number."""
    place = error["loc"]
    if error["type"] == "union_tag_invalid":
        return (*place, "kind")
    return (*place[:2], *place[3:]) if place[0] == "airflow" and len(place) > 2 else place


def _said(error: ErrorDetails) -> tuple[str, str]:
    context = error.get("ctx", {})
    if error["type"] == "value_error":
        return context["error"].what, context["error"].fix
    if error["type"] == "literal_error":  # 'a', 'b' or 'c'
        context = {"expected": context["expected"].replace("'", "").replace(" or ", ", ")}
    what, fix = _SAID.get(error["type"], ("is not of the right kind", "See docs/settings.md"))
    return what.format(**context), fix


def _leave_out(tree: dict[str, Tree], place: Place) -> None:
    """Remove a wrong value from the tree. An entry of a list becomes an empty one: the others keep their numbers."""
    *_, (last, node) = way(tree, place)
    if isinstance(node, list):
        node[int(last)] = {}
    elif last == "mwaa_environment" and node[last] != "faulty":  # which makes the entry one of MWAA
        node[last] = "faulty"
    else:
        node.pop(last, None)
