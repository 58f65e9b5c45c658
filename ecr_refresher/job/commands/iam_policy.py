"""`iam-policy`: what was asked for, or else what the settings' registries need, as a policy document."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from ...core import wire
from ...core.exits import EXIT_USAGE
from .. import settings
from ..aws.iam_policy import Wanted, document, of_settings, repository, role
from . import refused

Read = TypeVar("Read")


def policy(source: wire.Load, wanted: Wanted, repositories: Sequence[str], roles: Sequence[str]) -> tuple[int, str]:
    """Exit status, and the policy as JSON. Where nothing is named, the settings say what is needed."""
    faults: list[str] = []
    wanted = replace(wanted, repositories=_each(repository, repositories, faults), roles=_each(role, roles, faults))
    try:
        if not (repositories or roles or wanted.public):
            found, ways, public = of_settings(settings.load(source, os.environ)[0])
            wanted = replace(wanted, repositories=found, roles=ways, public=public)
        if not faults:
            return 0, json.dumps(document(wanted), indent=2)
    except settings.SettingsError as error:
        return refused.tell(error), ""
    except ValueError as error:
        faults.append(str(error))
    for fault in faults:
        print(f"ecr-refresher: iam-policy: {fault}", file=sys.stderr, flush=True)  # noqa: T201 - for people
    return EXIT_USAGE, ""


def _each(read: Callable[[str], Read], texts: Sequence[str], faults: list[str]) -> tuple[Read, ...]:
    found = []
    for text in dict.fromkeys(texts):
        try:
            found.append(read(text))
        except ValueError as error:
            faults.append(str(error))
    return tuple(found)
