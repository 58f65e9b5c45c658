"""`check --reader`, where Airflow is installed: does it read what was delivered, or something else first?"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ....core.model import Failed, Holding, Reason
from ....core.plan import Airflow, Connection, Refresh
from ...sinks.airflow import entry as airflow_entry
from ...sinks.airflow.entry import Shape
from .. import holding
from ..findings import Finding, failed, ok
from ..scene import Scene, needs_host
from ..trying import Leg
from . import docker as docker_legs

AIRFLOW_S = 60.0  # its command line takes seconds of CPU
BACKEND = "AIRFLOW__SECRETS__BACKEND"


@dataclass(frozen=True, slots=True)
class Read:
    """What `airflow connections get` shows, without the password, and whether it is from Airflow's database."""

    shape: Shape
    from_database: bool


def legs(scene: Scene) -> Iterator[Leg]:
    """A leg for each connection, as this machine's Airflow reads it, and those of files, as this user reads them."""
    for airflow in scene.plan.airflows:
        for connection in airflow.connections:
            registry = scene.plan.registry(connection.registry)
            yield Leg(
                "reader",
                airflow.sink(connection),
                f"read {connection.id} by `airflow connections get`",
                partial(_read, scene, airflow, connection),
                after=needs_host(registry),
                limit_s=AIRFLOW_S + 5,
                required=connection.required and registry.required,
            )
    for docker in scene.plan.dockers:
        for name in docker.registries:
            registry = scene.plan.registry(name)
            if registry.alias_of is None:
                yield from docker_legs.entry_legs(scene, docker, registry)


def _read(scene: Scene, airflow: Airflow, connection: Connection) -> list[Finding]:
    registry = scene.plan.registry(connection.registry)
    variable = f"AIRFLOW_CONN_{connection.id.upper()}"
    if variable in scene.environ and not airflow.by_backend:
        return [judged(None, variable, airflow, 0.0, 0.0, scene.plan.refresh)]
    read = airflow_reads(connection.id, registry.host, scene.environ)
    # Airflow asks the backend that is configured, then its environment, then its database.
    shadow = None if read.from_database else _backend(scene.environ) or f"the environment variable {variable}"
    return [judged(read, shadow, airflow, scene.tools.clock.now(), scene.life(registry), scene.plan.refresh)]


def judged(read: Read | None, shadow: str | None, airflow: Airflow, now: float, life: float, rules: Refresh) -> Finding:
    """Judge what Airflow reads; `shadow` is the variable or backend that it comes from, if not its database. Pure."""
    if read is None:
        return failed(
            f"the environment variable {shadow} is set, and Airflow takes the connection from it",
            "Remove it where Airflow's scheduler, workers and triggerer are started",
        )
    until = read.shape.until
    if until is None and not read.from_database:
        return failed(
            f"the connection comes from {shadow}, and not from {airflow.target}, where it is delivered",
            "Remove it there, or deliver through that backend (kind: secrets_file, secrets_manager or parameter_store)",
        )
    if until is None and airflow.by_backend:
        return failed(
            f"the connection comes from Airflow's database, not from {airflow.target}",
            "Set [secrets] backend and backend_kwargs where Airflow's scheduler and workers are started",
        )
    if read.shape.host is not None and until is not None:
        held = holding.judged(Holding(until), now, life, rules)
        return ok(f"it reads what was delivered, {held.text}") if held.fix is None else held
    return holding.judged(Holding(until), now, life, rules)


def airflow_reads(connection: str, host: str, environ: Mapping[str, str]) -> Read:
    """Run Airflow's own command line. What it prints holds the password: only the shape is kept. Raises Failed."""
    output = _airflow(["connections", "get", connection, "-o", "json"], environ)
    found = _first_list(output)
    if not found or not isinstance(found[0], dict):
        fix = "Run it by hand (its output is not shown here)"
        raise Failed(Reason.INVALID, "`airflow connections get` printed no JSON", fix)
    return Read(airflow_entry.shape(found[0], host), found[0].get("id") not in (None, "None", ""))


def _backend(environ: Mapping[str, str]) -> str | None:
    """The secrets backend that is configured, in words; None without one."""
    named = environ.get(BACKEND)
    if named is None:
        try:
            printed = _airflow(["config", "get-value", "secrets", "backend"], environ)
        except Failed:
            return "a secrets backend"
        named = printed.strip().rpartition("\n")[2]
    return f"the secrets backend {named}" if named else None


def _airflow(words: list[str], environ: Mapping[str, str]) -> str:
    program = shutil.which("airflow", path=environ.get("PATH", os.defpath))
    if program is None:
        fix = "Run `ecr-refresher check --reader` where Airflow is"
        raise Failed(Reason.MISSING, "there is no `airflow` on PATH", fix)
    try:
        ended = subprocess.run(  # noqa: S603 - Airflow's own command line, as its PATH has it
            [program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=AIRFLOW_S,
            check=False,
            env={key: value for key, value in environ.items() if not key.startswith("ECR_REFRESHER_")},
        )
    except subprocess.TimeoutExpired:
        what = f"`airflow {words[0]}` did not end within {AIRFLOW_S:.0f} s"
        raise Failed(Reason.TRANSIENT, what, "Run it by hand") from None
    except OSError as error:
        what = f"{program} can't be run ({error.strerror})"
        raise Failed(Reason.INVALID, what, "Repair the installation of Airflow") from None
    if b"Connection not found" in ended.stdout + ended.stderr:
        fix = "Run `ecr-refresher once`, and check AIRFLOW_HOME and the database that it names"
        raise Failed(Reason.MISSING, f"Airflow knows no connection {words[2]}", fix)
    if ended.returncode:
        what = f"`airflow {' '.join(words[:2])}` ended with status {ended.returncode}"
        raise Failed(Reason.INVALID, what, "Run it by hand, as the worker's user")
    return ended.stdout.decode(errors="replace")


def _first_list(output: str) -> list[Any] | None:
    """The JSON in the output, behind whatever Airflow's plugins print before it."""
    for number, line in enumerate(output.splitlines()):
        if line.startswith("["):
            try:
                found = json.loads("\n".join(output.splitlines()[number:]))
            except (ValueError, RecursionError):
                continue
            if isinstance(found, list):
                return found
    return None
