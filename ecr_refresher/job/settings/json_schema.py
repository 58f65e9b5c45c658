"""The JSON Schema (2020-12) of the settings file, for editors and Helm; pydantic makes it of the models.

A schema sees single keys. What must fit together is checked where the settings are read.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from .schema.airflow import WAYS
from .schema.section import Section, any_of
from .schema.sections import Settings

NULL = {"type": "null"}


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, _schema: Any) -> bool:
        return False  # 'Config File' for config_file helps nobody; the kinds have titles of their own

    def tagged_union_schema(self, schema: Any) -> dict[str, Any]:
        """One of several models. An entry with nothing but a name fits two of them, so it is not `oneOf`."""
        return {"anyOf": super().tagged_union_schema(schema)["oneOf"]}


def json_schema() -> dict[str, Any]:
    """What the settings file may hold."""
    made = Settings.model_json_schema(schema_generator=_Generator)
    _finish(made, Settings)
    for section in sections():
        if section.__name__ in made["$defs"]:
            _finish(made["$defs"][section.__name__], section)
    return {"$schema": _Generator.schema_dialect, **made, "title": "Settings of ecr-refresher"}


def sections() -> list[type[BaseModel]]:
    """Every section there is."""
    found: list[type[BaseModel]] = []
    waiting: list[type[BaseModel]] = [*Section.__subclasses__()]
    while waiting:
        section = waiting.pop()
        found.append(section)
        waiting += section.__subclasses__()
    return found


def _finish(made: dict[str, Any], section: type[BaseModel]) -> None:
    """Give each key its default as one writes it, and a null, which means 'not given'."""
    made["description"] = " ".join(made["description"].split())
    if section not in WAYS.values():
        made.pop("title", None)
    made.pop("required", None)
    defaults = section.model_construct().model_dump(mode="json", warnings=False)
    for key, found in made["properties"].items():
        default = defaults.get(key)
        # Of the model, because pydantic leaves out one that a section below has as well.
        about = {"description": " ".join((section.model_fields[key].description or "").split())}
        if default is not None and not isinstance(default, dict | list):
            about["default"] = default
        kinds = any_of({name: value for name, value in found.items() if name not in ("default", "description")})
        choices = [choice for choice in kinds["anyOf"] if choice != NULL]
        made["properties"][key] = about | any_of(*choices, NULL)
