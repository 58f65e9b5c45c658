"""An Airflow connection, judged by what the Docker provider does with it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.model import Holding
from ...core.plan import Connection, Refresh
from ..sinks.airflow.entry import CONN_TYPE, LOGIN, Shape
from . import freshness
from .findings import Finding, failed, warning

BY_HAND = "in Airflow, Admin, Connections; ecr-refresher never changes that field"


def judged(
    shape: Shape | None, connection: Connection, host: str, now: float, life: float, rules: Refresh
) -> list[Finding]:
    """Everything that is wrong with it, or until when it is good."""
    if shape is None:
        if connection.create:
            return [warning(f"there is no connection {connection.id} yet", freshness.DELIVER)]
        return [failed(f"there is no connection {connection.id}", "Create it in Airflow, or set create: true")]
    rewritten = [warning(text, freshness.DELIVER) for text in _rewritten(shape, host)]
    # One finding is enough for what the next pass writes anew.
    held = [] if rewritten else [freshness.judged(Holding(shape.until), now, life, rules)]
    return [*rewritten, *_user_s_own(shape, host), *held]


def _rewritten(shape: Shape, host: str) -> Iterator[str]:
    """What every write puts right."""
    if shape.conn_type != CONN_TYPE:
        yield f"its type is '{shape.conn_type}', not '{CONN_TYPE}'"
    if not shape.host:
        yield "it has no host"
    elif shape.host.partition("://")[2].rstrip("/") == host:
        yield f"its host has a scheme in front ('{shape.host}'), so that pulls do not find the login"
    elif shape.host != host:
        yield f"its host is '{shape.host}', not '{host}'"
    if shape.login != LOGIN:
        yield f"its login is '{shape.login}', not '{LOGIN}'" if shape.login else "it has no login"
    if not shape.password:
        yield "it has no password"


def _user_s_own(shape: Shape, host: str) -> Iterator[Finding]:
    """What belongs to the user, and is never changed here."""
    if shape.port not in (None, ""):
        what = f"its port is {shape.port}: the login goes to {host}:{shape.port}, and pulls from {host} go without it"
        yield failed(what, f"Empty the port {BY_HAND}")
    if shape.reauth is False:
        what = "its extra has reauth: false: Docker then takes a stale entry of the worker's config.json"
        yield warning(what, f"Remove reauth from the extra {BY_HAND}")
