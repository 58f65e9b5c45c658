"""What all sections of the settings share, and the shorter ways of writing them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from ..problems import Given

Entry = TypeVar("Entry")
NAMES_SCHEMA = {"title": "names, comma-separated", "type": ["string", "number", "boolean"]}


class Section(BaseModel):
    """A mapping of the settings. A key that is not known is an error; a null means 'not given'.

    No key is required here: the checks that know why a value is needed say that it is missing. The text below a key is
    its description in the JSON Schema and in docs/settings.md.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True, validate_default=False
    )

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_not_given(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {key: value for key, value in given.items() if value is not None or key not in cls.model_fields}


@dataclass(frozen=True, slots=True, eq=False)
class Or:
    """The JSON Schema of a key allows this as well."""

    schema: Mapping[str, Any]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return any_of(handler(core), dict(self.schema))


@dataclass(frozen=True, slots=True, eq=False)
class OrOne:
    """The JSON Schema of a list allows its only entry as well."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        every = handler(core)
        return any_of(every, every["items"])


def any_of(*schemas: dict[str, Any]) -> dict[str, Any]:
    """A schema that takes what one of these takes; choices of choices become one list."""
    choices: list[dict[str, Any]] = []
    for schema in schemas:
        choices += schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
    return {"anyOf": choices}


def split(value: Any) -> Any:
    """A text with commas as the list of its names."""
    if not isinstance(value, str):
        return value
    names = [name.strip() for name in value.split(",")]
    return [Given(name, value.source) if isinstance(value, Given) else name for name in names if name]


def as_list(value: Any) -> Any:
    """An only entry, written without the list, as a list."""
    return [value] if isinstance(value, dict) else value


def _one_text(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[list[Entry], BeforeValidator(split), Or(NAMES_SCHEMA)]
Entries = Annotated[list[Entry], BeforeValidator(as_list), OrOne()]
OneOrMore = Annotated[list[Entry], BeforeValidator(_one_text), OrOne()]
