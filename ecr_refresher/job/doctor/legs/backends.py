"""Airflow's secrets backends as sinks: a file, or a store of AWS."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ....core.plan import Airflow, Connection
from ...sinks.airflow.backends.aws_store import AwsStore
from ...sinks.airflow.backends.secrets_file import SecretsFileSink
from .. import files
from ..checkup import Checkup
from ..findings import Finding, ok
from ..trying import Leg
from .airflow import connection_leg


def legs(checkup: Checkup) -> Iterator[Leg]:
    """The legs of all backends."""
    for airflow in checkup.plan.airflows:
        if airflow.secrets_file is not None:
            words = f"examined the place of {airflow.target}"
            yield Leg("file", airflow.name, words, partial(_place, checkup, airflow, airflow.secrets_file.mode))
        for connection in airflow.connections if airflow.by_backend else ():
            looked = connection_leg(checkup, airflow, connection)
            yield looked
            if airflow.secrets_file is None:
                yield Leg(
                    "permissions",
                    airflow.sink(connection),
                    "tried a write that can't be done",
                    partial(_may, checkup, airflow, connection),
                    after=(looked.key,),
                    required=looked.required,
                )


def _place(checkup: Checkup, airflow: Airflow, mode: int | None) -> list[Finding]:
    sink = checkup.tools.airflow(airflow)
    if not isinstance(sink, SecretsFileSink):
        raise TypeError("not a file")
    return files.place(sink.examine(), mode)


def _may(checkup: Checkup, airflow: Airflow, connection: Connection) -> list[Finding]:
    sink = checkup.tools.airflow(airflow)
    if not isinstance(sink, AwsStore):
        raise TypeError("not a store of AWS")
    sink.may_write(connection)
    return [ok("it may be updated; whether it may be created can't be asked without doing it")]
