"""Reads settings as the worker does: from a file of its own and an environment with nothing of the machine's."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ecr_refresher.core.plan import Plan
from ecr_refresher.core.wire import Load
from ecr_refresher.job import settings
from ecr_refresher.job.settings import effective
from tests.unit.job import settings_schema

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
PARTNER = "210987654321.dkr.ecr.eu-west-1.amazonaws.com"
HOME = "/home/airflow"
MASKED = "masked"
SURROUNDINGS = {"HOME": HOME, "AWS_REGION": "us-east-1", "AWS_CONFIG_FILE": "/dev/null"}

ENTRY: Mapping[str, Any] = {"url": "https://airflow.example.com", "token_file": "/run/secrets/token"}


def airflow(**keys: Any) -> dict[str, Any]:
    """One Airflow with all that it needs, changed by `keys`; None takes a key away."""
    return {key: value for key, value in {**ENTRY, **keys}.items() if value is not None}


def load(
    written: str | bytes | Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    log_level: str | None = None,
    log_format: str | None = None,
    euid: int = 1000,
) -> tuple[Plan, tuple[str, ...]]:
    """Plan and warnings of what is written (a mapping as JSON, which is YAML too) and of the environment.

    For every file and environment that any test writes, two promises are tried here as well: what the settings take,
    the JSON Schema takes; and what `config show` prints of them means the same.
    """
    with tempfile.TemporaryDirectory() as directory:
        file = None
        if written is not None:
            file = Path(directory) / "settings.yaml"
            text = written if isinstance(written, str | bytes) else json.dumps(written)
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
        source = Load(str(file) if file else None, log_level, log_format)
        surroundings = {**SURROUNDINGS, **(environ or {})}
        loaded = settings.load(source, surroundings, euid=euid)
        if file is not None:
            settings_schema.must_take(file.read_bytes())
        _shown_means_the_same(loaded, surroundings, euid)
        return loaded.plan, tuple(map(str, loaded.warnings))


def _shown_means_the_same(loaded: settings.Loaded, surroundings: Mapping[str, str], euid: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "shown.yaml"
        file.write_text(effective.text(loaded).replace("'***'", MASKED))
        settings_schema.must_take(file.read_bytes())
        others = {name: value for name, value in surroundings.items() if not name.startswith("ECR_REFRESHER_")}
        again = settings.load(Load(str(file)), others, euid=euid).plan
    assert replace(again, settings_file=None) == _masked(replace(loaded.plan, settings_file=None)), effective.text(
        loaded
    )


def _masked(plan: Plan) -> Plan:
    """The plan as `config show` tells of it: without external ids, and what else is masked."""
    registries = []
    for registry in plan.registries:
        roles = (replace(role, external_id=role.external_id and MASKED) for role in registry.principal.roles)
        registries.append(replace(registry, principal=replace(registry.principal, roles=tuple(roles))))
    return replace(plan, registries=tuple(registries))


def plan(written: str | Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, **more: Any) -> Plan:
    return load(written, environ, **more)[0]


def warnings(
    written: str | Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, **more: Any
) -> tuple[str, ...]:
    return load(written, environ, **more)[1]


def errors(
    written: str | bytes | Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, **more: Any
) -> tuple[str, ...]:
    """All errors; it is a failure of the test if there are none."""
    with pytest.raises(settings.SettingsError) as refused:
        load(written, environ, **more)
    return refused.value.errors


def error(*args: Any, **more: Any) -> str:
    """The one error that there must be."""
    found = errors(*args, **more)
    assert len(found) == 1, found
    return found[0]
