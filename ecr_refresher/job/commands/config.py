"""`config show` and `config schema`: the settings in effect, and what a settings file may hold. Asks no network."""

from __future__ import annotations

import json
import os
import sys

from ... import logs
from ...core import wire
from .. import settings
from ..settings import effective, json_schema
from . import refused


def show(source: wire.Load) -> tuple[int, str]:
    """Exit status, and the settings in effect as a settings file. Warnings and errors go to standard error."""
    try:
        loaded = settings.read(source, os.environ)
    except settings.SettingsError as error:
        return refused.tell(error), ""
    for warning in loaded.warnings:
        print(f"ecr-refresher: warning: {logs.redact(warning)}", file=sys.stderr)  # noqa: T201 - for people
    return 0, effective.text(loaded)


def schema() -> str:
    """The JSON Schema of the settings file."""
    return json.dumps(json_schema.json_schema(), indent=2)
