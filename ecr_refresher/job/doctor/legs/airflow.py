"""Airflows: who answers, does it let us in, what may we do there, and what do the connections hold?"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial

from ....core.plan import Airflow, Connection
from ...sinks.airflow.answers import RIGHTS
from ...sinks.airflow.api import AirflowSink
from .. import connection as judge
from ..findings import Finding, failed, ok, warning
from ..scene import Scene, needs_host, token_key
from ..trying import Leg
from .routes import url_key


def legs(scene: Scene) -> Iterator[Leg]:
    """The legs of all Airflows that have an API."""
    for airflow in scene.plan.airflows:
        if airflow.secrets_file is None and airflow.secrets_manager is None:
            yield from _of_one(scene, airflow)


def _of_one(scene: Scene, airflow: Airflow) -> Iterator[Leg]:
    answers = Leg(
        "airflow",
        airflow.name,
        f"asked {airflow.target} which Airflow it is",
        lambda: [ok(f"Airflow {_sink(scene, airflow).version()}")],
        after=(url_key(airflow.url),) if airflow.url else (),
    )
    yield answers
    login = Leg(
        "login",
        airflow.name,
        f"logged in there{f' as {airflow.username}' if airflow.username else ''}",
        partial(_enter, scene, airflow),
        after=(answers.key,),
    )
    yield login
    for connection in airflow.connections:
        registry = scene.plan.registry(connection.registry)
        subject = airflow.sink(connection)
        required = connection.required and registry.required
        looked = Leg(
            "connection",
            subject,
            f"looked at the connection {connection.id}",
            partial(_look, scene, airflow, connection),
            after=(login.key, *needs_host(registry)),
            waits_for=(token_key(registry.principal),),
            required=required,
        )
        yield looked
        yield Leg(
            "permissions",
            subject,
            f"tried what may be done to {connection.id}, without doing it",
            partial(_may, scene, airflow, connection),
            after=(login.key,),
            required=required,
        )


def _sink(scene: Scene, airflow: Airflow) -> AirflowSink:
    sink = scene.tools.airflow(airflow)
    if not isinstance(sink, AirflowSink):
        raise TypeError("an Airflow without an API")
    return sink


def _enter(scene: Scene, airflow: Airflow) -> list[Finding]:
    _sink(scene, airflow).enter()
    if airflow.url and airflow.token is None and airflow.username is None:
        return [warning("no login is set", "give username and password_file, or token_file")]
    open_to_all = [path for path in sorted(airflow.secret_paths) if os.stat(path).st_mode & stat.S_IROTH]
    return [warning(f"everybody may read {path}", f"chmod o-r {path}") for path in open_to_all] or [ok("it lets us in")]


def _look(scene: Scene, airflow: Airflow, connection: Connection) -> list[Finding]:
    registry = scene.plan.registry(connection.registry)
    shape = _sink(scene, airflow).inspect(connection, registry.host)
    clock, rules = scene.tools.clock, scene.plan.refresh
    return judge.judged(shape, connection, registry.host, clock.now(), scene.life(registry), rules)


def _may(scene: Scene, airflow: Airflow, connection: Connection) -> list[Finding]:
    sink = _sink(scene, airflow)
    lacking = [right for right in sink.may(connection) if right != "can_create" or connection.create]
    if not lacking:
        return [ok("it may be edited" + (" and created" if connection.create else ""))]
    who = f"the user {airflow.username}" if airflow.username else "this login"
    grant = f"grant it {RIGHTS}"
    if connection.team_name is not None:
        grant += f", in the team {connection.team_name} too"
    if lacking == ["can_create"]:
        grant += ", or create the connection and set create: false"
    return [failed(f"{who} has no {' and no '.join(lacking)} on Connections (403)", grant)]
