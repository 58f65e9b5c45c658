"""The JSON Schema (2020-12) of the settings file, for editors; made of the schema by which it is read.

A schema sees single keys: what must fit together is told by `config show`, `once` and `run`, which read the settings.
"""

from __future__ import annotations

import ast
import inspect
import itertools
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from . import schema
from .reading.kinds import NULL_SCHEMA
from .reading.shorter import any_of


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, _schema: Any) -> bool:
        return False  # 'Config File' for config_file helps nobody; the kinds have titles of their own


def json_schema() -> dict[str, Any]:
    """What the settings file may hold, as a JSON Schema."""
    made = schema.Settings.model_json_schema(schema_generator=_Generator)
    described = {"Settings": made, **made["$defs"]}
    for section in schema.Section.__subclasses__():
        _finish(described[section.__name__], section)
    return {"$schema": _Generator.schema_dialect, **made, "title": "Settings of ecr-refresher"}


def _finish(made: dict[str, Any], section: type[BaseModel]) -> None:
    """Give each key its default as one writes it; and a null, which means 'not given'."""
    made.pop("title", None)
    made["description"] = _flowing(made["description"])
    defaults, texts = section().model_dump(mode="json"), _texts(section)
    for key, found in made["properties"].items():
        default = defaults[key]
        about = {"description": _flowing(texts.get(key, ""))}
        if default is not None and not isinstance(default, dict | list):
            about["default"] = default
        kinds = any_of({name: value for name, value in found.items() if name not in ("default", "description")})[
            "anyOf"
        ]
        made["properties"][key] = about | any_of(*kinds, *([] if NULL_SCHEMA in kinds else [NULL_SCHEMA]))


def _texts(section: type[BaseModel]) -> dict[str, str]:
    """The texts below the keys. pydantic would read them as well, from the source, whenever settings are read."""
    (written,) = ast.parse(inspect.getsource(section)).body
    found = {}
    for key, text in itertools.pairwise(written.body if isinstance(written, ast.ClassDef) else []):
        match key, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                found[name] = said
    return found


def _flowing(text: str) -> str:
    return " ".join(text.split())
