"""An Airflow connection, judged by what the Docker provider does with it. Pure."""

from __future__ import annotations

from ...core.model import Holding
from ...core.plan import Connection, Refresh
from ..sinks.airflow.entry import CONN_TYPE, LOGIN, Shape
from . import freshness
from .findings import Finding, failed, warning

BY_HAND = "in Airflow, Admin, Connections; ecr-refresher leaves that field as it is"


def judged(
    shape: Shape | None, connection: Connection, host: str, now: float, life: float, rules: Refresh
) -> list[Finding]:
    """Everything that is wrong with it, or until when it is good."""
    if shape is None:
        if connection.create:
            return [warning(f"there is no connection {connection.id} yet", freshness.DELIVER)]
        return [failed(f"there is no connection {connection.id}", "Create it in Airflow, or set create: true")]
    found = [*_fields(shape, host), *_user_s_own(shape, host)]
    held = freshness.judged(Holding(shape.until), now, life, rules)
    # One finding is enough for what the next pass writes anew.
    if not any(one.fix == freshness.DELIVER for one in found):
        found.append(held)
    return found


def _fields(shape: Shape, host: str) -> list[Finding]:
    """What every write puts right."""
    found = []
    if shape.conn_type != CONN_TYPE:
        found.append(warning(f"its type is '{shape.conn_type}', not '{CONN_TYPE}'", freshness.DELIVER))
    if shape.host is None or shape.host != host:
        bare = (shape.host or "").partition("://")[2].rstrip("/")
        said = f"its host is '{shape.host}', not '{host}'" if shape.host else "it has no host"
        if bare == host:
            said = f"its host has a scheme in front ('{shape.host}'), so that pulls do not find the login"
        found.append(warning(said, freshness.DELIVER))
    if shape.login != LOGIN:
        found.append(
            warning(
                f"its login is '{shape.login}', not '{LOGIN}'" if shape.login else "it has no login", freshness.DELIVER
            )
        )
    if not shape.password:
        found.append(warning("it has no password", freshness.DELIVER))
    return found


def _user_s_own(shape: Shape, host: str) -> list[Finding]:
    """What belongs to the user, and is never changed here."""
    found = []
    if shape.port not in (None, ""):
        found.append(
            failed(
                f"its port is {shape.port}: the login goes to {host}:{shape.port}, and pulls from {host} go without it",
                f"Empty the port {BY_HAND}",
            )
        )
    if shape.reauth is False:
        found.append(
            warning(
                "its extra has reauth: false: Docker then takes a stale entry of the worker's config.json",
                f"Remove reauth from the extra {BY_HAND}",
            )
        )
    return found
