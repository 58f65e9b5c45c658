"""The fields of a connection that are ours, wherever it is kept: what a pull needs, and the marker. Pure."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ....core.model import NOTHING, Credential, Holding
from ....core.printable import printable
from . import marker

CONN_TYPE, LOGIN = "docker", "AWS"
CREATE_IT = "Create it there, or set create: true"  # the fix of a connection that is missing
Wanted = Callable[[Holding], bool]  # whether a slot that holds this still needs a new credential


@dataclass(frozen=True, slots=True)
class Shape:
    """What messages may show of a connection. `until` is what its marker says for the host asked for."""

    conn_type: str | None
    host: str | None
    login: str | None
    password: bool  # as far as is shown
    port: str | None
    reauth: bool | None  # an extra of the Docker provider; None where it is not set
    until: float | None


def shape(found: Mapping[str, Any], host: str) -> Shape:
    """The shape of a connection, as an API or a backend has it."""

    def text(key: str) -> str | None:
        value = found.get(key)
        return None if value is None else printable(str(value)[:300])

    extra = found.get("extra_dejson") or found.get("extra")
    with suppress(ValueError, RecursionError):
        extra = json.loads(extra) if isinstance(extra, str) else extra
    reauth = extra.get("reauth") if isinstance(extra, dict) else None
    return Shape(
        text("conn_type"),
        text("host"),
        text("login"),
        bool(found.get("password", True)),
        text("port"),
        reauth if isinstance(reauth, bool) else None,
        marker.read(found.get("description"), host),
    )


def fields(host: str, credential: Credential, description: object) -> dict[str, str]:
    """The fields to write; `description` is the one that the connection has. The password is among them, unmasked."""
    return {
        "conn_type": CONN_TYPE,
        "host": host,  # bare: what docker-py looks logins up by
        "login": credential.username,
        "password": credential.secret.reveal(),
        "description": marker.write(description, host, credential.expires_at),
    }


def usable(found: Mapping[str, Any], host: str) -> bool:
    """True where a pull could use it. Airflow 3 shows that there is a password, as stars; Airflow 2 never does."""
    right = (found.get("conn_type"), found.get("host"), found.get("login")) == (CONN_TYPE, host, LOGIN)
    return right and bool(found.get("password", True))


def holding(found: Mapping[str, Any] | None, host: str) -> Holding:
    """What a connection of a backend holds; its password is there to be seen."""
    if not found or not found.get("password") or not usable(found, host):
        return NOTHING
    return Holding(marker.read(found.get("description"), host))


def renewed(found: Mapping[str, Any] | None, host: str, credential: Credential) -> dict[str, Any]:
    """The connection of a backend with our fields renewed, and all others as they are.

    Ours stand in front: of two names for one field (`password`, `pass`) the amazon provider's backend takes the first.
    """
    kept = dict(found or {})
    ours = fields(host, credential, kept.get("description"))
    return ours | {key: value for key, value in kept.items() if key not in ours}
