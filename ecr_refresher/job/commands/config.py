"""`config show` and `config schema`: the settings in effect, and what a settings file may hold. Asks no network."""

import json
import os

from ... import logs
from ...core import wire
from ...core.exits import EXIT_DONE, EXIT_USAGE
from .. import settings
from ..settings import effective
from ..settings.schema import json_schema
from .foreground import Result


def show(source: wire.Load) -> Result:
    """The settings in effect as a settings file."""
    try:
        loaded = settings.load(source, os.environ)
    except settings.SettingsError as error:
        logs.tell_settings_errors(error.errors)
        return Result(EXIT_USAGE)
    for warning in loaded.warnings:
        logs.tell(f"warning: {warning}")
    return Result(EXIT_DONE, effective.text(loaded))


def schema() -> Result:
    """The JSON Schema of the settings file."""
    return Result(EXIT_DONE, json.dumps(json_schema(), indent=2))
