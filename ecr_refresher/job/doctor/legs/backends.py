"""Airflow's secrets backends as sinks: a file, or a store of AWS."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ....core.plan import Airflow, Connection
from ...sinks.airflow.backends.aws_store import AwsStore
from ...sinks.airflow.backends.secrets_file import NEW_MODE, SecretsFileSink
from .. import files
from ..findings import Finding, ok
from ..scene import Scene
from ..trying import Leg
from .airflow import connection_leg


def legs(scene: Scene) -> Iterator[Leg]:
    """The legs of all backends."""
    for airflow in scene.plan.airflows:
        if airflow.secrets_file is not None:
            words = f"examined the place of {airflow.target}"
            yield Leg("file", airflow.name, words, partial(_place, scene, airflow, airflow.secrets_file.mode))
        for connection in airflow.connections if airflow.by_backend else ():
            looked = connection_leg(scene, airflow, connection)
            yield looked
            if airflow.secrets_file is None:
                yield Leg(
                    "permissions",
                    airflow.sink(connection),
                    "tried a write that can't be done",
                    partial(_may, scene, airflow, connection),
                    after=(looked.key,),
                    required=looked.required,
                )


def _place(scene: Scene, airflow: Airflow, mode: int | None) -> list[Finding]:
    sink = scene.tools.airflow(airflow)
    if not isinstance(sink, SecretsFileSink):
        raise TypeError("not a file")
    seen = sink.examine()
    kept = NEW_MODE if seen.mode is None else seen.mode  # Airflow must read the file, so its own mode stays
    return files.place(seen, kept if mode is None else mode)


def _may(scene: Scene, airflow: Airflow, connection: Connection) -> list[Finding]:
    sink = scene.tools.airflow(airflow)
    if not isinstance(sink, AwsStore):
        raise TypeError("not a store of AWS")
    sink.may_write(connection)
    return [ok("it may be updated; whether it may be created can't be asked without doing it")]
