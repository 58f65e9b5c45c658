"""`check --reader` where Airflow is installed: does a task here get what was delivered, or something that shadows it?

A task on Airflow 3 asks `[workers] secrets_backend` (else `[secrets] backend`), then `AIRFLOW_CONN_*`, then the API
server. Airflow 2 asks `[secrets] backend`, then the variables, then its database. The `airflow` command asks as Airflow
2 does and knows no teams, so the workers' backend is given to it as its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from typing import Any

from ....core.model import Failed, Holding, Reason
from ....core.plan import Airflow, Connection
from ...sinks.airflow import entry
from .. import held
from ..checkup import Checkup, needs_host
from ..findings import Finding, Verdict, failed, ok
from ..trying import Leg

AIRFLOW_S = 60.0  # its command takes seconds of CPU
_ELSEWHERE = "Run `ecr-refresher check` where the login is delivered"


def legs(checkup: Checkup) -> Iterator[Leg]:
    """A leg for each connection, as a task on this machine gets it."""
    command = AirflowCommand()
    for airflow in checkup.plan.airflows:
        for connection in airflow.connections:
            registry = checkup.plan.registry(connection.registry)
            yield Leg(
                "reader",
                airflow.sink(connection),
                f"read {connection.id} as a task here does",
                partial(_read, checkup, command, airflow, connection),
                needs_host(registry),
                limit_s=4 * AIRFLOW_S,
                required=connection.required and registry.required,
                server="airflow",
                at_once=2,  # each takes 200 MB of memory
            )


def _read(checkup: Checkup, command: AirflowCommand, airflow: Airflow, connection: Connection) -> list[Finding]:
    registry = checkup.plan.registry(connection.registry)
    set_here = [name for name in _variables(connection) if name in os.environ]
    if set_here and not airflow.by_backend:
        text = f"the environment variable {set_here[0]} is set, and Airflow takes the connection from it"
        return [failed(text, "Remove it where Airflow's scheduler, workers and triggerer are started")]
    if connection.team_name is not None:
        text = f"the `airflow` command sees no connection of a team, so {connection.id} can't be seen from here"
        return [Finding(Verdict.NOT_TRIED, text, _ELSEWHERE)]
    found = command.connection(connection.id)
    if found is None and command.major >= 3:
        text = (
            "no secrets backend and no variable of this worker shadows it; this worker has no database of Airflow's, "
            "so what the API server gives to tasks can't be seen from here"
        )
        return [Finding(Verdict.NOT_TRIED, text, _ELSEWHERE)]
    if found is None:
        text = "this machine has no database of Airflow's, or can't reach it"
        return [failed(text, "Set [database] sql_alchemy_conn, or run the check where Airflow's scheduler runs")]
    from_database = found.get("id") not in (None, "None", "")
    shadow = None if from_database else command.backend or f"the environment variable {next(_variables(connection))}"
    return [judged(entry.shape(found, registry.host).until, shadow, airflow, partial(checkup.freshness, registry))]


def _variables(connection: Connection) -> Iterator[str]:
    """The environment variables that Airflow takes the connection from, the first one first."""
    if connection.team_name is not None:
        yield f"AIRFLOW_CONN__{connection.team_name.upper()}___{connection.id.upper()}"
    yield f"AIRFLOW_CONN_{connection.id.upper()}"


def judged(until: float | None, shadow: str | None, airflow: Airflow, fresh: held.Judge) -> Finding:
    """Judge what Airflow finds. `shadow` names where it is from, if not from Airflow's database. Pure."""
    if shadow is not None and (until is None or not airflow.by_backend):
        what = f"the connection comes from {shadow}, and not from {airflow.target}, where it is delivered"
        through = "deliver through that backend (kind: secrets_file, secrets_manager or parameter_store)"
        return failed(what, f"Remove it there, or {through}")
    if until is None and airflow.by_backend:
        what = f"the connection comes from Airflow's database, not from {airflow.target}"
        fix = "Set [secrets] backend and backend_kwargs where Airflow's scheduler and workers are started"
        return failed(what, fix)
    found = fresh(Holding(until))
    return ok(f"it reads what was delivered, {found.text}") if found.fix is None else found


class AirflowCommand:
    """Airflow's own command line, with the secrets backend that a worker has."""

    def __init__(self) -> None:
        self._environ = {key: value for key, value in os.environ.items() if not key.startswith("ECR_REFRESHER_")}
        self._environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"  # log lines go to standard output

    @cached_property
    def backend(self) -> str | None:
        """The secrets backend that a worker asks first, in words."""
        if self._workers_backend:
            return f"the workers' secrets backend {self._workers_backend}"
        name = self._option("secrets", "backend")
        return f"the secrets backend {name}" if name else None

    @cached_property
    def _workers_backend(self) -> str | None:
        return self._option("workers", "secrets_backend")  # Airflow 2 has no such option

    @cached_property
    def major(self) -> int:
        found = re.search(r"^(\d+)\.\d+", self._run("version"), re.MULTILINE)
        return int(found[1]) if found else 2

    def connection(self, connection: str) -> dict[str, Any] | None:
        """The connection; None without a database. The output holds the password. Raises Failed."""
        try:
            printed = self._run("connections", "get", connection, "-o", "json", environ=self._as_worker)
        except Failed:
            if not self._has_database:
                return None
            raise
        # Airflow's plugins may print something before the JSON.
        for start in re.finditer(r"^\[", printed, re.MULTILINE):
            with contextlib.suppress(ValueError, RecursionError):
                found = json.loads(printed[start.start() :])
                if found and isinstance(found[0], dict):
                    return dict(found[0])
        fix = "Run it by hand (its output is not shown here)"
        raise Failed(Reason.INVALID, "`airflow connections get` printed no JSON", fix)

    @cached_property
    def _as_worker(self) -> dict[str, str]:
        """An environment that makes the command ask the workers' backend. Its arguments may hold a secret."""
        if not (backend := self._workers_backend):
            return self._environ
        environ = self._environ | {"AIRFLOW__SECRETS__BACKEND": backend}
        if (given := environ.get("AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS")) is not None:
            return environ | {"AIRFLOW__SECRETS__BACKEND_KWARGS": given}
        environ.pop("AIRFLOW__SECRETS__BACKEND_KWARGS", None)
        kwargs = f"{self._program} config get-value workers secrets_backend_kwargs"
        return environ | {"AIRFLOW__SECRETS__BACKEND_KWARGS_CMD": kwargs}

    @cached_property
    def _has_database(self) -> bool:
        try:
            self._run("db", "check-migrations", "-t", "0")
        except Failed:
            return False
        return True

    @cached_property
    def _program(self) -> str:
        program = shutil.which("airflow", path=self._environ.get("PATH", os.defpath))
        if program is None:
            fix = "Run `ecr-refresher check --reader` where Airflow is"
            raise Failed(Reason.MISSING, "there is no `airflow` on PATH", fix)
        return program

    def _option(self, section: str, key: str) -> str | None:
        if given := self._environ.get(f"AIRFLOW__{section.upper()}__{key.upper()}"):
            return given
        printed = self._run("config", "get-value", section, key).removesuffix("\n").rpartition("\n")[2]
        return printed if re.fullmatch(r"[\w.]+", printed) else None

    def _run(self, *words: str, environ: Mapping[str, str] | None = None) -> str:
        """Return what it prints. Raises Failed."""
        what = f"`airflow {' '.join(words[:2])}`"
        try:
            ended = subprocess.run(  # noqa: S603 - Airflow's own command line, as its PATH has it
                [self._program, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=AIRFLOW_S,
                check=False,
                env=environ or self._environ,
            )
        except subprocess.TimeoutExpired:
            raise Failed(Reason.TRANSIENT, f"{what} did not end within {AIRFLOW_S:.0f} s", "Run it by hand") from None
        except OSError as error:
            text = f"{self._program} can't be run ({error.strerror})"
            raise Failed(Reason.INVALID, text, "Repair the installation of Airflow") from None
        if b"Connection not found" in ended.stdout + ended.stderr:
            fix = "Run `ecr-refresher once`, and check AIRFLOW_HOME and the database that it names"
            raise Failed(Reason.MISSING, f"Airflow knows no connection {words[2]}", fix)
        if ended.returncode:
            text = f"{what} ended with status {ended.returncode}"
            raise Failed(Reason.INVALID, text, "Run it by hand, as the worker's user")
        return ended.stdout.decode(errors="replace")
