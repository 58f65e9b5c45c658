"""Airflow's secrets backends as sinks: a file, or a store of AWS."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from ....core.plan import Airflow, Connection
from .. import files
from ..checkup import Checkup
from ..findings import Finding, ok
from ..trying import Leg
from .airflow import connection_leg

if TYPE_CHECKING:
    from ...sinks.airflow.backends.aws_store import AwsStore
    from ...sinks.airflow.backends.secrets_file import SecretsFileSink


def legs(checkup: Checkup) -> Iterator[Leg]:
    """The legs of all backends."""
    for airflow in checkup.plan.airflows:
        if airflow.secrets_file:
            words = f"examined the place of {airflow.target}"
            yield Leg("file", airflow.name, words, partial(_place, checkup, airflow, airflow.secrets_file.mode))
        for connection in airflow.connections if airflow.by_backend else ():
            yield (looked := connection_leg(checkup, airflow, connection))
            if not airflow.secrets_file:
                act, words = partial(_may, checkup, airflow, connection), "tried a write that can't be done"
                yield Leg("permissions", looked.subject, words, act, (looked.key,), required=looked.required)


def _place(checkup: Checkup, airflow: Airflow, mode: int | None) -> list[Finding]:
    return files.place(cast("SecretsFileSink", checkup.tools.airflow(airflow)).examine(), mode)


def _may(checkup: Checkup, airflow: Airflow, connection: Connection) -> list[Finding]:
    cast("AwsStore", checkup.tools.airflow(airflow)).may_write(connection)
    return [ok("it may be updated; whether it may be created can't be asked without doing it")]
