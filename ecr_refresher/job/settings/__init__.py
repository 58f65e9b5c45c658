"""The settings: a YAML file and environment variables, read into `core.plan.Plan`. Every error is listed at once.

`validation` checks both against `schema`; `resolving` fits them together. Not here: any file
or server that settings name. Only the settings file and AWS's and Docker's own settings are read.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec import structs

from ...core import wire
from ...core.ecr import aliases
from ...core.plan import Plan
from . import environment, yaml_file
from .problems import Problem, Problems, SettingsError, Spot
from .resolving import resolve
from .schema.sections import Settings
from .surroundings import Surroundings
from .validation import validate

__all__ = ["Loaded", "Problem", "SettingsError", "load"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings after reading: the plan, and what it was made of."""

    plan: Plan
    warnings: tuple[Problem, ...]
    settings: Settings
    surroundings: Surroundings
    problems: Problems


def load(source: wire.Load, environ: Mapping[str, str], *, euid: int | None = None) -> Loaded:
    """Read the settings into a plan. `euid` is the user it is for: by default ours.

    Raises SettingsError with everything that is wrong. Neither errors nor warnings show a value that may be secret.
    """
    environment.refuse_other_bytes(environ)
    problems, surroundings = Problems(), Surroundings(environ)
    file = source.config or environ.get(environment.CONFIG) or None
    if file is not None:
        file = os.path.abspath(os.path.expanduser(file))
        yaml_file.read(file, problems)
    environment.lay_over(problems, environ, {("log", "level"): source.log_level, ("log", "format"): source.log_format})
    settings = validate(problems, surroundings)
    plan = resolve(settings, Spot(problems), surroundings, os.geteuid() if euid is None else euid)
    if problems.errors:
        raise SettingsError(problems.errors)
    plan = structs.replace(aliases.spell_out(plan), settings_file=file)
    try:
        msgspec.json.encode(plan)  # as a daemon's worker reports it
    except UnicodeEncodeError:
        what = "the path of the working directory, or of a home directory, is not UTF-8 text"
        raise SettingsError([Problem("settings", what, "Write paths from the root on")]) from None
    named = {ref.where for airflow in plan.airflows for ref in airflow.secrets if ref.kind == "env"}
    return Loaded(plan, (*problems.warnings, *environment.unknown(environ, named)), settings, surroundings, problems)
