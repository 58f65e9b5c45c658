"""Airflows with an API: which version answers, the login, the rights, and what the connections hold."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial

from ....core.plan import Airflow, Connection
from ...sinks.airflow.answers import RIGHTS
from ...sinks.airflow.api import AirflowSink
from .. import connection as judge
from ..checkup import Checkup, needs_host, token_key
from ..findings import Finding, failed, ok, warning
from ..trying import Key, Leg
from .routes import url_key


def legs(checkup: Checkup) -> Iterator[Leg]:
    """The legs of all Airflows that have an API."""
    for airflow in checkup.plan.airflows:
        if not airflow.by_backend:
            yield from _of_one(checkup, airflow)


def _of_one(checkup: Checkup, airflow: Airflow) -> Iterator[Leg]:
    answers = Leg(
        "airflow",
        airflow.name,
        f"asked {airflow.target} which Airflow it is",
        lambda: [ok(f"Airflow {_sink(checkup, airflow).version()}")],
        after=(url_key(airflow.url),) if airflow.url else (),
    )
    yield answers
    login = Leg(
        "login",
        airflow.name,
        f"logged in there{f' as {who}' if (who := _user(airflow)) else ''}",
        partial(_enter, checkup, airflow),
        after=(answers.key,),
    )
    yield login
    for connection in airflow.connections:
        looked = connection_leg(checkup, airflow, connection, login.key)
        yield looked
        yield Leg(
            "permissions",
            looked.subject,
            f"tried what may be done to {connection.id}, without doing it",
            partial(_may, checkup, airflow, connection),
            after=(login.key,),
            required=looked.required,
        )


def connection_leg(checkup: Checkup, airflow: Airflow, connection: Connection, *after: Key) -> Leg:
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
    sink = checkup.tools.airflow(airflow)
    if not isinstance(sink, AirflowSink):
        raise TypeError("an Airflow without an API")
    return sink


def _user(airflow: Airflow) -> str | None:
    return airflow.client.id if airflow.client else airflow.username


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
