"""Which keys the settings have, of which kinds, and their defaults: pydantic models, read by `..validation`.

Not here: what keys must fit together, and defaults that depend on the surroundings. Those are in `..resolving`.
"""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from .sections import Settings


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, _schema: Any) -> bool:
        return False  # 'Config File' for config_file helps nobody; the kinds have titles of their own

    def tagged_union_schema(self, schema: Any) -> dict[str, Any]:
        """One of several models. An entry with nothing but a name fits two of them, so it is not `oneOf`."""
        return {"anyOf": super().tagged_union_schema(schema)["oneOf"]}


def json_schema() -> dict[str, Any]:
    """What the settings file may hold as JSON Schema (2020-12), for editors and Helm; pydantic makes it of the models.

    A schema sees single keys. What must fit together is checked where the settings are read.
    """
    made = Settings.model_json_schema(schema_generator=_Generator)
    return {"$schema": _Generator.schema_dialect, **made, "title": "Settings of ecr-refresher"}
