"""The JSON Schema of the settings as an editor uses it: on the YAML file, with numbers and booleans read as such."""

from __future__ import annotations

import functools
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from ecr_refresher.job.settings.schema import json_schema


@functools.cache
def validator() -> Draft202012Validator:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def faults(written: str | bytes) -> list[str]:
    """Where the schema finds a fault in a YAML file."""
    document: Any = yaml.safe_load(written)
    return [error.json_path for error in validator().iter_errors(document)]


def must_take(written: str | bytes) -> None:
    assert faults(written) == [], written
