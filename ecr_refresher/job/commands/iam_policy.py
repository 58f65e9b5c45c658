"""`iam-policy`: the policy for the repositories that are named, else for the registries of the settings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from ... import logs
from ...core import wire
from ...core.exits import EXIT_DONE, EXIT_USAGE
from .. import settings
from ..aws.iam_policy import Wanted, document, of_settings, repository, role
from .foreground import Result


def policy(source: wire.Load, wanted: Wanted, repositories: Sequence[str], roles: Sequence[str]) -> Result:
    """The policy as JSON: for what is named, else for the registries of the settings."""
    faults: list[str] = []
    wanted = replace(wanted, repositories=_each(repository, repositories, faults), roles=_each(role, roles, faults))
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


def _each(read: Callable[[str], str], texts: Sequence[str], faults: list[str]) -> tuple[str, ...]:
    found = []
    for text in dict.fromkeys(texts):
        try:
            found.append(read(text))
        except ValueError as error:
            faults.append(str(error))
    return tuple(found)
