"""The fields of a connection that are ours, in whatever way it is kept: what a pull needs, and the marker. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.model import NOTHING, Credential, Holding
from . import airflow_marker as marker

CONN_TYPE, LOGIN = "docker", "AWS"


def fields(host: str, credential: Credential, description: str | None) -> dict[str, str]:
    """What is written; `description` is the one that is there. The password is in it, unmasked."""
    return {
        "conn_type": CONN_TYPE,
        "host": host,  # bare: what docker-py looks logins up by
        "login": credential.username,
        "password": credential.secret.reveal(),
        "description": marker.write(description, host, credential.expires_at),
    }


def usable(found: Mapping[str, Any], host: str) -> bool:
    """Tell whether a pull could use it. Airflow 3 shows that there is a password, as stars; Airflow 2 never does."""
    right = (found.get("conn_type"), found.get("host"), found.get("login")) == (CONN_TYPE, host, LOGIN)
    return right and bool(found.get("password", True))


def holding(found: Mapping[str, Any] | None, host: str) -> Holding:
    """What a kept connection holds, its password included."""
    if found is None or not found.get("password") or not usable(found, host):
        return NOTHING
    description = found.get("description")
    return Holding(marker.read(description if isinstance(description, str) else None, host))


def renewed(found: Mapping[str, Any] | None, host: str, credential: Credential) -> dict[str, Any]:
    """The kept connection with our fields renewed, and all others as they are.

    Ours stand in front: of two names for one field (`password`, `pass`) the amazon provider's backend takes the first.
    """
    kept = dict(found or {})
    description = kept.pop("description", None)
    ours = fields(host, credential, description if isinstance(description, str) else None)
    return ours | {key: value for key, value in kept.items() if key not in ours}
