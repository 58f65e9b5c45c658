"""Airflow 3's rules for one connection: what a body must be, what a PATCH changes, what an answer shows.

The rules were observed on Airflow 3.3.2.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass, field
from typing import Any

MASK = "***"
SENSITIVE = ("api_key", "apikey", "authorization", "passphrase", "passwd", "password", "private_key", "secret", "token")


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection as the database holds it, its real password included."""

    connection_id: str
    conn_type: str
    description: str | None = None
    host: str | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    port: int | None = None
    extra: str | None = field(default=None, repr=False)
    team_name: str | None = None


FIELDS = frozenset(one.name for one in dataclasses.fields(Connection))


def problems(body: Any) -> list[dict[str, Any]]:
    """List what is wrong with a request's body, in the form of a 422's `detail`; empty if nothing is.

    A missing field echoes the whole body, its password included, as Airflow's validation does.
    """
    if not isinstance(body, dict):
        return [_problem("model_attributes_type", "Input should be a valid dictionary", body)]
    found = [
        _problem("missing", "Field required", body, name) for name in ("connection_id", "conn_type") if name not in body
    ]
    for name, value in body.items():
        if name not in FIELDS:
            found.append(_problem("extra_forbidden", "Extra inputs are not permitted", value, name))
        elif name == "port":
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                found.append(_problem("int_type", "Input should be a valid integer", value, name))
        elif not isinstance(value, str) and (value is not None or name in ("connection_id", "conn_type")):
            found.append(_problem("string_type", "Input should be a valid string", value, name))
    connection_id = body.get("connection_id")
    if isinstance(connection_id, str):
        if len(connection_id) > 200:
            message = "String should have at most 200 characters"
            found.append(_problem("string_too_long", message, connection_id, "connection_id"))
        if not re.match(r"^[\w.-]+$", connection_id):
            message = r"String should match pattern '^[\w.-]+$'"
            found.append(_problem("string_pattern_mismatch", message, connection_id, "connection_id"))
    return found


def patched(old: Connection, body: dict[str, Any]) -> Connection:
    """Apply a PATCH: fields not sent stay, an explicit null clears, a password of three stars keeps the old one."""
    changes = {name: value for name, value in body.items() if name not in ("connection_id", "conn_type")}
    changes["conn_type"] = body["conn_type"]
    if changes.get("password") == MASK:
        del changes["password"]
    return dataclasses.replace(old, **changes)


def shown(connection: Connection) -> dict[str, Any]:
    """Give a connection as answers show it: the password and the sensitive keys of `extra` masked."""
    view = dataclasses.asdict(connection)
    if connection.password is not None:
        view["password"] = MASK
    if connection.extra:
        try:
            view["extra"] = json.dumps(_masked(json.loads(connection.extra)))
        except ValueError:
            view["extra"] = connection.extra
    return view


def _problem(kind: str, message: str, echoed: Any, *place: str) -> dict[str, Any]:
    return {"type": kind, "loc": ["body", *place], "msg": message, "input": echoed}


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: MASK if _sensitive(key) and item else _masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return value


def _sensitive(key: str) -> bool:
    return any(word in key.lower() for word in SENSITIVE)
