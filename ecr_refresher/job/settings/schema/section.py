"""What all sections of the settings share, and the shorter ways of writing them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic_core import CoreSchema, InitErrorDetails

from ..problems import Wrong, did_you_mean

Entry = TypeVar("Entry")
NAMES_SCHEMA = {"title": "names, comma-separated", "type": ["string", "number", "boolean"]}
NULL = {"type": "null"}


def any_of(*schemas: dict[str, Any]) -> dict[str, Any]:
    """A schema that takes what one of these takes; choices of choices become one list."""
    return {"anyOf": [one for schema in schemas for one in (schema["anyOf"] if set(schema) == {"anyOf"} else [schema])]}


def _as_editors_see_it(made: dict[str, Any], section: type[BaseModel]) -> None:
    """Give each key its default as one writes it, and a null, which means 'not given'."""
    made["description"] = " ".join(made["description"].split())
    if "title" not in section.model_config:
        del made["title"]
    made.pop("required", None)
    defaults = section.model_construct().model_dump(mode="json", warnings=False)
    for key, found in made["properties"].items():
        default = defaults.get(key)
        # Of the model, because pydantic leaves out one that a section below has as well.
        about = {"description": " ".join((section.model_fields[key].description or "").split())}
        if default is not None and not isinstance(default, dict | list):
            about["default"] = default
        kinds = any_of({name: value for name, value in found.items() if name not in ("default", "description")})
        made["properties"][key] = about | any_of(*(choice for choice in kinds["anyOf"] if choice != NULL), NULL)


class Section(BaseModel):
    """A mapping of the settings. A key that is not known is an error; a null means 'not given'.

    No key is required here: the checks that know why a value is needed say that it is missing. The text below a key is
    its description in the JSON Schema and in docs/settings.md.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        json_schema_extra=_as_editors_see_it,
    )
    key_of_a_text: ClassVar[str | None] = None
    """The key that a text in place of the mapping sets."""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        if isinstance(given, str) and cls.key_of_a_text:
            given = {cls.key_of_a_text: given}
        if not isinstance(given, Mapping):
            return given
        if errors := [
            InitErrorDetails(type="value_error", loc=(key,), input=None, ctx={"error": cls.unknown(key)})
            for key in given
            if key not in cls.model_fields
        ]:
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return {key: value for key, value in given.items() if value is not None}

    @classmethod
    def unknown(cls, key: str) -> Wrong:
        """The error for an unknown key."""
        if key in ("password", "token", "client_secret"):
            fix = f"Put it into a file and name that as {key}_file, or into a variable and name that as {key}_env"
            return Wrong("is a secret, and the settings must not hold one", fix)
        return Wrong("is not a known key", did_you_mean(key, cls.model_fields))


@dataclass(frozen=True, slots=True, eq=False)
class Or:
    """The JSON Schema of a key allows this as well; by default one entry of a list, without the list."""

    schema: Mapping[str, Any] | None = None

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        made = handler(core)
        return any_of(made, made["items"] if self.schema is None else dict(self.schema))


def split(value: Any) -> Any:
    """A text with commas as the list of its names."""
    return [name for part in value.split(",") if (name := part.strip())] if isinstance(value, str) else value


Names = Annotated[list[Entry], BeforeValidator(split), Or(NAMES_SCHEMA)]
# The only entry of a list may stand there without the list.
OneOrMore = Annotated[
    list[Entry], BeforeValidator(lambda value: [value] if isinstance(value, str | dict) else value), Or()
]
