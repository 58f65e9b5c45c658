"""`config show`, `config schema` and `iam-policy`: what settings mean, may hold, and need of AWS. Asks no network."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ... import logs
from ...core import wire
from ...core.exits import EXIT_DONE, EXIT_USAGE
from .. import settings
from ..aws.iam_policy import Wanted, document, of_settings, repository, role
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


def policy(source: wire.Load, wanted: Wanted, repositories: Sequence[str], roles: Sequence[str]) -> Result:
    """The policy as JSON: for what is named, else for the registries of the settings."""
    faults: list[str] = []

    def each(read: Callable[[str], str], texts: Sequence[str]) -> Iterator[str]:
        for text in dict.fromkeys(texts):
            try:
                yield read(text)
            except ValueError as error:
                faults.append(str(error))

    wanted = replace(wanted, repositories=tuple(each(repository, repositories)), roles=tuple(each(role, roles)))
    try:
        if not (repositories or roles or wanted.public):
            wanted = of_settings(wanted, settings.load(source, os.environ).plan)
        if not faults:
            return Result(EXIT_DONE, json.dumps(document(wanted), indent=2))
    except settings.SettingsError as error:
        logs.tell_settings_errors(error.errors)
        return Result(EXIT_USAGE)
    except ValueError as error:
        faults.append(str(error))
    for fault in faults:
        logs.tell(f"iam-policy: {fault}")
    return Result(EXIT_USAGE)
