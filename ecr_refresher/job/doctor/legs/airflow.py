"""Airflows: which version answers, the login, the rights, and what connections hold; or its secrets backend."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from ....core.plan import Airflow, Connection
from ...sinks.airflow.answers import RIGHTS
from .. import connection as judge
from .. import files
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
    words = f"asked {airflow.target} which Airflow it is"
    after = (url_key(airflow.url),) if airflow.url else ()
    yield (answers := Leg("airflow", airflow.name, words, partial(_version, checkup, airflow), after))
    words = f"logged in there{f' as {who}' if (who := _user(airflow)) else ''}"
    yield (login := Leg("login", airflow.name, words, partial(_enter, checkup, airflow), (answers.key,)))
    for connection in airflow.connections:
        yield (looked := _looked(checkup, airflow, connection, login.key))
        words = f"tried what may be done to {connection.id}, without doing it"
        act = partial(_may, checkup, airflow, connection)
        yield Leg("permissions", looked.subject, words, act, (login.key,), required=looked.required)


def _by_backend(checkup: Checkup, airflow: Airflow) -> Iterator[Leg]:
    if airflow.secrets_file:
        act = partial(_place, checkup, airflow, airflow.secrets_file.mode)
        yield Leg("file", airflow.name, f"examined the place of {airflow.target}", act)
    for connection in airflow.connections:
        yield (looked := _looked(checkup, airflow, connection))
        if not airflow.secrets_file:
            words, act = "tried a write that can't be done", partial(_may_write, checkup, airflow, connection)
            yield Leg("permissions", looked.subject, words, act, (looked.key,), required=looked.required)


def _looked(checkup: Checkup, airflow: Airflow, connection: Connection, *after: Key) -> Leg:
    """The leg that looks at one connection, wherever it is kept."""
    registry = checkup.plan.registry(connection.registry)
    return Leg(
        "connection",
        airflow.sink(connection),
        f"looked at the connection {connection.id} in {airflow.target}",
        partial(_look, checkup, airflow, connection),
        after=(*after, *needs_host(registry)),
        waits_for=(token_key(registry.principal),),
        required=connection.required and registry.required,
    )


def _sink(checkup: Checkup, airflow: Airflow) -> AirflowSink:
    return cast("AirflowSink", checkup.tools.airflow(airflow))  # what is no backend is asked by its API


def _user(airflow: Airflow) -> str | None:
    return airflow.client.id if airflow.client else airflow.username


def _version(checkup: Checkup, airflow: Airflow) -> list[Finding]:
    return [ok(f"Airflow {_sink(checkup, airflow).version()}")]


def _enter(checkup: Checkup, airflow: Airflow) -> list[Finding]:
    _sink(checkup, airflow).enter()
    if airflow.url and airflow.token is None and _user(airflow) is None:
        return [warning("no login is set", "Give username and password_file, token_file, or client_id")]
    open_to_all = [path for path in sorted(airflow.secret_paths) if os.stat(path).st_mode & stat.S_IROTH]
    return [warning(f"everybody may read {path}", f"Run chmod o-r {path}") for path in open_to_all] or [
        ok("the login is good")
    ]


def _look(checkup: Checkup, airflow: Airflow, connection: Connection) -> list[Finding]:
    registry = checkup.plan.registry(connection.registry)
    shape = checkup.tools.airflow(airflow).inspect(connection, registry.host)
    clock, rules = checkup.tools.clock, checkup.plan.refresh
    return judge.judged(shape, connection, registry.host, clock.now(), checkup.life(registry), rules)


def _may(checkup: Checkup, airflow: Airflow, connection: Connection) -> list[Finding]:
    sink = _sink(checkup, airflow)
    lacking = [right for right in sink.may(connection) if right != "can_create" or connection.create]
    if not lacking:
        return [ok("it may be edited" + (" and created" if connection.create else ""))]
    who = f"the user {_user(airflow)}" if _user(airflow) else "this login"
    where = f" in the team {connection.team_name}" if connection.team_name is not None else ""
    grant = f"Grant it {RIGHTS}{where}"
    if lacking == ["can_create"]:
        grant += ", or create the connection and set create: false"
    return [failed(f"{who} has no {' and no '.join(lacking)} on Connections{where} (403)", grant)]


def _place(checkup: Checkup, airflow: Airflow, mode: int | None) -> list[Finding]:
    return files.place(cast("SecretsFileSink", checkup.tools.airflow(airflow)).examine(), mode)


def _may_write(checkup: Checkup, airflow: Airflow, connection: Connection) -> list[Finding]:
    cast("AwsStore", checkup.tools.airflow(airflow)).may_write(connection)
    return [ok("it may be updated; whether it may be created can't be asked without doing it")]
