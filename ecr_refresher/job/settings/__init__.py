"""The settings: a YAML file, environment variables, or both, read into the plan. Every error is told at once.

One road: texts from wherever they stand (`yaml_file`, `environment`), spelled out (`shapes`), typed (`schema`), then
resolved against each other (`resolve`, which asks `registries`, `airflow`, `docker`) into `core.plan.Plan`. No
network, and no file but the settings' own and AWS's config for the default region: a secret's file that is not there
yet is no error of theirs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import structs

from ...core import aliases, wire
from ...core.plan import Plan
from .problems import Problems, SettingsError
from .reading import environment, shapes, yaml_file
from .reading.validation import validate
from .resolving import airflow
from .resolving.paths import Paths
from .resolving.resolve import resolve
from .schema import Settings

__all__ = ["Loaded", "SettingsError", "load", "read"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings after reading: the plan, and what it was made of."""

    plan: Plan
    warnings: tuple[str, ...]
    settings: Settings
    paths: Paths
    problems: Problems


def load(source: wire.Load, environ: Mapping[str, str], *, euid: int | None = None) -> tuple[Plan, tuple[str, ...]]:
    """Read the settings into a plan; gives the plan and warnings.

    Raises SettingsError, whose `errors` are all that is wrong, each as `path: what is wrong; how to mend it`. Neither
    errors nor warnings show a value that may be secret. `euid` is the user that the plan is for: by default, our own.
    """
    loaded = read(source, environ, euid=euid)
    return loaded.plan, loaded.warnings


def read(source: wire.Load, environ: Mapping[str, str], *, euid: int | None = None) -> Loaded:
    """As `load`, with all that is known on the way. Raises SettingsError."""
    problems, paths = Problems(), Paths(environ)
    file = source.config or environ.get(environment.CONFIG) or None
    file = file and os.path.abspath(os.path.expanduser(file))
    settings = _read(file, source, environ, problems, paths)
    plan = resolve(settings, paths, problems, os.geteuid() if euid is None else euid)
    if problems.errors:
        raise SettingsError(problems.errors)
    named = {name for entry in settings.airflow for name in airflow.variables(entry)}
    plan = structs.replace(aliases.spell_out(plan), settings_file=file)
    return Loaded(plan, (*problems.warnings, *environment.unknown(environ, named)), settings, paths, problems)


def _read(
    file: str | None, source: wire.Load, environ: Mapping[str, str], problems: Problems, paths: Paths
) -> Settings:
    """All settings on one road of typing: the command line's over the environment's over the file's."""
    tree = yaml_file.read(file, problems) if file else {}
    shapes.entries_as_lists(tree, problems)
    environment.lay_over(tree, environ, problems)
    for key, value in (("level", source.log_level), ("format", source.log_format)):
        if value is not None:
            environment.lay_over_one(tree, ("log", key), value, f"--log-{key}", problems)
    shapes.spell_out(tree, problems)
    return validate(tree, problems, paths)
