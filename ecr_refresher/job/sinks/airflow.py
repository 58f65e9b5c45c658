"""One Airflow as a place for credentials: each connection is looked at, and patched with what is ours, never more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...core.model import NOTHING, Credential, Failed, Holding, Outcome, Reason, Secret
from ...core.plan import Airflow, Connection, SecretRef
from . import airflow_marker as marker
from .airflow_transport import Transport

API = "/api/v2"
CONN_TYPE, LOGIN = "docker", "AWS"
STALE_S = 10.0  # an older look is no ground for a write: another daemon may have written since
TRIES = 3  # creations and deletions by others in the moment of our write


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look found: whether it is there, and the description that goes back with a write."""

    exists: bool
    description: str | None
    holding: Holding
    at: float


class AirflowSink:
    """All connections of one Airflow; thread-safe."""

    def __init__(
        self,
        airflow: Airflow,
        *,
        read_secret: Callable[[SecretRef], Secret],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = Transport(airflow, read_secret)
        self._monotonic = monotonic
        self._seen: dict[str, _Seen] = {}
        self._lock = threading.Lock()

    def look(self, connection: Connection, host: str) -> Holding:
        """Tell what the connection holds, as its marker records it. Raises Failed."""
        status, found = self._transport.request("GET", f"{API}/connections/{connection.id}")
        if status == 409:
            raise Failed(Reason.INVALID, f"{self._transport.name} answered 409 to a look at {connection.id}")
        seen = _Seen(False, None, NOTHING, self._monotonic())
        if status != 404:
            description = found.get("description")
            if not isinstance(description, str | None):
                raise Failed(Reason.INVALID, f"{self._transport.name}: connection {connection.id} makes no sense")
            seen = _Seen(True, description, _holding(found, description, host), seen.at)
        with self._lock:
            self._seen[connection.id] = seen
        return seen.holding

    def deliver(
        self,
        connection: Connection,
        host: str,
        credential: Credential,
        *,
        still_wanted: Callable[[Holding], bool],
    ) -> Outcome:
        """Write the credential into the connection, or leave it where a newer look finds that it is not wanted.

        Raises Failed. A write is never repeated when its answer does not come: the next look will tell.
        """
        for attempt in range(TRIES):
            seen = self._seen.get(connection.id)
            if seen is None or attempt or self._monotonic() - seen.at > STALE_S:
                holding = self.look(connection, host)
                if not still_wanted(holding):
                    return Outcome.SKIPPED
                seen = self._seen[connection.id]
            if self._write(connection, host, credential, seen):
                return Outcome.WRITTEN
        raise Failed(
            Reason.TRANSIENT,
            f"{self._transport.name}: connection {connection.id} is created and deleted by others all the time",
        )

    def _write(self, connection: Connection, host: str, credential: Credential, seen: _Seen) -> bool:
        """Patch or create; false where it has come or gone since the look."""
        # No update_mask: Airflow 3 takes an unknown or comma-joined one for nothing to do, and says 200. Without one,
        # fields that are not sent stay. connection_id and conn_type must be there.
        body: dict[str, Any] = {
            "connection_id": connection.id,
            "conn_type": CONN_TYPE,
            "host": host,  # bare: with a scheme docker-py does not find it, with port 443 pulls lose their login
            "login": LOGIN,
            "password": credential.secret.reveal(),
            "description": marker.write(seen.description, host, credential.expires_at),
        }
        if seen.exists:
            status, _ = self._transport.request("PATCH", f"{API}/connections/{connection.id}", body)
            return status != 404
        if not connection.create:
            mend = "create it in Airflow, or allow it with 'create: true'"
            raise Failed(Reason.MISSING, f"{self._transport.name} has no connection {connection.id}; {mend}")
        if connection.team_name is not None:
            body["team_name"] = connection.team_name
        status, _ = self._transport.request("POST", f"{API}/connections", body)
        if status == 404:
            raise Failed(Reason.INVALID, f"{self._transport.name} has no {API}/connections; check the URL's path")
        return status != 409


def _holding(found: dict[str, Any], description: str | None, host: str) -> Holding:
    """What the marker says, unless somebody has changed what a pull needs: then nothing usable is there."""
    ours = (found.get("conn_type"), found.get("host"), found.get("login")) == (CONN_TYPE, host, LOGIN)
    return Holding(marker.read(description, host)) if ours else NOTHING
