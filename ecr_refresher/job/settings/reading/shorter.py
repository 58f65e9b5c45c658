"""The shorter ways of writing, as the JSON Schema tells them. What they mean is spelled out in `shapes`, before typing.

Each class here is an annotation that changes a key's JSON Schema, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema


@dataclass(frozen=True, slots=True, eq=False)
class Or:
    """This may be written instead."""

    schema: Mapping[str, Any]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return any_of(handler(core), dict(self.schema))


@dataclass(frozen=True, slots=True, eq=False)
class OrOne:
    """A list's only entry may stand alone."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        every = handler(core)
        return any_of(every, every["items"])


@dataclass(frozen=True, slots=True, eq=False)
class Keys:
    """A mapping's keys match this pattern as a whole."""

    pattern: str

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core), "propertyNames": {"pattern": f"^{self.pattern}$"}}


def any_of(*schemas: dict[str, Any]) -> dict[str, Any]:
    """Each of these will do; what is a choice already is not nested."""
    choices: list[dict[str, Any]] = []
    for schema in schemas:
        choices += schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
    return {"anyOf": choices}
