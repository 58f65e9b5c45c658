"""Airflow's secrets backends as sinks: a file, or a store of AWS."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ....core.plan import Airflow, Connection
from ...sinks.airflow.backends.secrets_file import NEW_MODE, SecretsFileSink
from ...sinks.airflow.backends.secrets_manager import SecretsManagerSink
from .. import connection as judge
from .. import files
from ..findings import Finding, ok
from ..scene import Scene, needs_host, token_key
from ..trying import Leg

Backend = SecretsFileSink | SecretsManagerSink


def legs(scene: Scene) -> Iterator[Leg]:
    """The legs of all backends."""
    for airflow in scene.plan.airflows:
        if airflow.secrets_file is not None:
            yield Leg(
                "file",
                airflow.name,
                f"examined the place of {airflow.target}",
                partial(_place, scene, airflow, airflow.secrets_file.mode),
            )
        if airflow.secrets_file is None and airflow.secrets_manager is None:
            continue
        for connection in airflow.connections:
            yield from _of_connection(scene, airflow, connection)


def _of_connection(scene: Scene, airflow: Airflow, connection: Connection) -> Iterator[Leg]:
    registry = scene.plan.registry(connection.registry)
    required = connection.required and registry.required
    looked = Leg(
        "connection",
        airflow.sink(connection),
        f"looked at {connection.id} in {airflow.target}",
        partial(_look, scene, airflow, connection),
        after=needs_host(registry),
        waits_for=(token_key(registry.principal),),
        required=required,
    )
    yield looked
    if airflow.secrets_manager is not None:
        yield Leg(
            "permissions",
            airflow.sink(connection),
            "asked for a new version of the secret without a value, which can't be made",
            partial(_may, scene, airflow, connection),
            after=(looked.key,),
            required=required,
        )


def _sink(scene: Scene, airflow: Airflow) -> Backend:
    sink = scene.tools.airflow(airflow)
    if not isinstance(sink, SecretsFileSink | SecretsManagerSink):
        raise TypeError("no secrets backend")
    return sink


def _place(scene: Scene, airflow: Airflow, mode: int | None) -> list[Finding]:
    sink = _sink(scene, airflow)
    if not isinstance(sink, SecretsFileSink):
        raise TypeError("no file")
    seen = sink.examine()
    kept = NEW_MODE if seen.mode is None else seen.mode  # Airflow must read the file, so its own mode stays
    return files.place(seen, kept if mode is None else mode)


def _look(scene: Scene, airflow: Airflow, connection: Connection) -> list[Finding]:
    registry = scene.plan.registry(connection.registry)
    shape = _sink(scene, airflow).inspect(connection, registry.host)
    clock, rules = scene.tools.clock, scene.plan.refresh
    return judge.judged(shape, connection, registry.host, clock.now(), scene.life(registry), rules)


def _may(scene: Scene, airflow: Airflow, connection: Connection) -> list[Finding]:
    sink = _sink(scene, airflow)
    if isinstance(sink, SecretsManagerSink):
        sink.may_write(connection)
    return [ok("it may be written; whether one may be created can't be asked without doing it")]
