"""Airflows: which version answers, the login, the rights, and what connections hold; or its secrets backend."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from ....core.plan import Airflow, Connection
from ...sinks.airflow.answers import RIGHTS
from .. import files, held
from ..checkup import Checkup, needs_host, token_key
from ..findings import Finding, failed, ok, warning
from ..trying import Key, Leg
from .routes import url_key

if TYPE_CHECKING:
    from ...sinks.airflow.api import AirflowSink
    from ...sinks.airflow.backends.aws_stores import AwsStore
    from ...sinks.airflow.backends.secrets_file import SecretsFileSink


def legs(checkup: Checkup) -> Iterator[Leg]:
    """The legs of all Airflows."""
    for airflow in checkup.plan.airflows:
        yield from _by_backend(checkup, airflow) if airflow.by_backend else _by_api(checkup, airflow)


def _by_api(checkup: Checkup, airflow: Airflow) -> Iterator[Leg]:
    user = airflow.client.id if airflow.client else airflow.username

    def sink() -> AirflowSink:
        return cast("AirflowSink", checkup.tools.airflow(airflow))

    def enter() -> list[Finding]:
        sink().enter()
        if airflow.url and airflow.token is None and user is None:
            return [warning("no login is set", "Give username and password_file, token_file, or client_id")]
        open_to_all = [path for path in sorted(airflow.secret_paths) if os.stat(path).st_mode & stat.S_IROTH]
        return [warning(f"everybody may read {path}", f"Run chmod o-r {path}") for path in open_to_all] or [
            ok("the login is good")
        ]

    def may(connection: Connection) -> list[Finding]:
        lacking = [right for right in sink().may(connection) if right != "can_create" or connection.create]
        if not lacking:
            return [ok("it may be edited" + (" and created" if connection.create else ""))]
        who = f"the user {user}" if user else "this login"
        where = f" in the team {connection.team_name}" if connection.team_name is not None else ""
        grant = f"Grant it {RIGHTS}{where}"
        if lacking == ["can_create"]:
            grant += ", or create the connection and set create: false"
        return [failed(f"{who} has no {' and no '.join(lacking)} on Connections{where} (403)", grant)]

    words, act = f"asked {airflow.target} which Airflow it is", lambda: [ok(f"Airflow {sink().version()}")]
    yield (answers := Leg("airflow", airflow.name, words, act, (url_key(airflow.url),) if airflow.url else ()))
    words = "logged in there" + (f" as {user}" if user else "")
    yield (login := Leg("login", airflow.name, words, enter, (answers.key,)))
    for connection in airflow.connections:
        yield (looked := _looked(checkup, airflow, connection, login.key))
        words = f"tried what may be done to {connection.id}, without doing it"
        yield replace(
            looked, name="permissions", tried=words, act=partial(may, connection), after=(login.key,), waits_for=()
        )


def _by_backend(checkup: Checkup, airflow: Airflow) -> Iterator[Leg]:
    sink = partial(checkup.tools.airflow, airflow)

    def may_write(connection: Connection) -> list[Finding]:
        cast("AwsStore", sink()).may_write(connection)
        return [ok("it may be updated; whether it may be created can't be asked without doing it")]

    if file := airflow.secrets_file:
        words, mode = f"examined the place of {airflow.target}", file.mode
        yield Leg("file", airflow.name, words, lambda: files.place(cast("SecretsFileSink", sink()).examine(), mode))
    for connection in airflow.connections:
        yield (looked := _looked(checkup, airflow, connection))
        if not file:
            words, act = "tried a write that can't be done", partial(may_write, connection)
            yield replace(looked, name="permissions", tried=words, act=act, after=(looked.key,), waits_for=())


def _looked(checkup: Checkup, airflow: Airflow, connection: Connection, *after: Key) -> Leg:
    """The leg that looks at one connection, wherever it is kept."""
    registry = checkup.plan.registry(connection.registry)

    def look() -> list[Finding]:
        shape = checkup.tools.airflow(airflow).inspect(connection, registry.host)
        return held.connection(shape, connection, registry.host, partial(checkup.freshness, registry))

    return Leg(
        "connection",
        airflow.sink(connection),
        f"looked at the connection {connection.id} in {airflow.target}",
        look,
        after=(*after, *needs_host(registry)),
        waits_for=(token_key(registry.principal),),
        required=connection.required and registry.required,
    )
