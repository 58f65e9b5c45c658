"""One Airflow as a place for credentials: each connection is looked at, and given what is ours, never more."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ....core.model import NOTHING, Credential, Failed, Holding, Outcome, Reason, Secret
from ....core.plan import Airflow, Connection, SecretRef
from . import entry, marker
from .answers import failure
from .crowd import Crowd
from .entry import Shape
from .login import Session
from .mwaa import Invoke, MwaaTransport
from .transport import Transport

NO_NAME = "no name of a connection!"  # no Airflow takes it
LOOK_HOLDS_S = 0.25  # a look that is older is no ground for a write: of many that start, one may have written since
ROUNDS = 3  # how often others may create or delete the connection in the very moment of our write


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look found; `description` is the one thing that goes back with a write."""

    at: float
    exists: bool = False
    description: str | None = None
    usable: bool = False  # by a pull: type, host and login are right, and there is a password


class AirflowSink:
    """All connections of one Airflow, behind one login; thread-safe. Knows Airflow 3 and Airflow 2.

    What it has found out (the version, the login, what a look saw) is kept for its own lifetime: a pass.
    """

    def __init__(
        self,
        airflow: Airflow,
        *,
        read_secret: Callable[[SecretRef], Secret],
        invoke: Invoke | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        longest_pause_s: float = 0.0,
        connect_timeout_s: float = 3.05,
        read_timeout_s: float = 15.0,
    ) -> None:
        """`invoke` is Amazon's `invoke_rest_api`, for an Airflow that Amazon manages.

        `longest_pause_s` is how long it may wait to spare an Airflow that many come to at once.
        """
        self._transport: Transport | MwaaTransport
        if airflow.mwaa is not None and invoke is not None:
            self._transport = MwaaTransport(airflow, invoke)
        else:
            self._transport = Transport(airflow, connect_timeout_s, read_timeout_s, read_secret)
        crowd = Crowd(monotonic, sleep, random.random, longest_pause_s)
        self._session = Session(airflow, self._transport, read_secret, monotonic, crowd)
        self._monotonic = monotonic
        self._seen: dict[str, _Seen] = {}

    def look(self, connection: Connection, host: str) -> Holding:
        """Tell until when the connection holds a login for this registry, as its marker records it. Raises Failed.

        Nothing usable is there if a pull could not use it: no such connection, another type, host or login, or no
        password. Its port is the user's own: a wrong one could not be mended here, so it does not count.
        """
        seen = self._look(connection, host)
        return Holding(marker.read(seen.description, host)) if seen.usable else NOTHING

    def deliver(
        self, connection: Connection, host: str, credential: Credential, *, still_wanted: Callable[[Holding], bool]
    ) -> Outcome:
        """Write the credential: `written`; or `skipped` where a newer look was due and finds it no longer wanted.

        Raises Failed; `missing` where there is no connection and none may be created. A write whose answer does not
        come is not repeated: it may have been done, and the next look tells.
        """
        for attempt in range(ROUNDS):
            self._session.make_room()
            seen = self._seen.get(connection.id)
            if seen is None or attempt or self._monotonic() - seen.at > LOOK_HOLDS_S:
                if not still_wanted(self.look(connection, host)):
                    return Outcome.SKIPPED
                seen = self._seen[connection.id]
            if self._write(connection, host, credential, seen):
                self._seen.pop(connection.id, None)
                return Outcome.WRITTEN
        words = "comes and goes; is a script still deleting and adding it? Stop that one"
        raise Failed(Reason.TRANSIENT, f"{self._transport.who}: the connection {connection.id} {words}")

    def close(self) -> None:
        """Close what is open towards Airflow."""
        self._transport.close()

    # --- what `check` asks; nothing of it changes anything -----------------------------------------------------------
    def version(self) -> str:
        """Which Airflow answers, e.g. `3.3`; asked without a login. Raises Failed."""
        major, minor = self._session.find().version
        return f"{major}.{minor}"

    def enter(self) -> None:
        """Log in. Raises Failed."""
        self._session.enter()

    def inspect(self, connection: Connection, host: str) -> Shape | None:
        """Tell what the connection is like; None if it is not there. Raises Failed."""
        content = self._content(connection)
        return None if content is None else entry.shape(content, host)

    def may(self, connection: Connection) -> tuple[str, ...]:
        """Which of `can_edit` and `can_create` the user lacks; found by requests that no Airflow could carry out.

        Rights are judged before the body: without them the answer is 403, with them the body is refused (422 of
        Airflow 3, which misses conn_type; 400 or 404 of Airflow 2, where an id can't be changed). Raises Failed.
        """
        another = {"connection_id": f"{connection.id}."[-200:]}
        nameless = {"connection_id": NO_NAME}
        if connection.team_name is not None:
            nameless["team_name"] = connection.team_name
        tries = {"can_edit": ("PATCH", _path(connection), another), "can_create": ("POST", "/connections", nameless)}
        return tuple(right for right, request in tries.items() if not self._would_pass(*request))

    def _would_pass(self, method: str, path: str, body: dict[str, Any]) -> bool:
        answer, _ = self._session.call(method, path, body)
        if answer.refused(403):
            return False
        if answer.refused(400, 404, 422):
            return True
        raise failure(self._transport.who, f"a {method} without effect", answer, body)

    # --- looking and writing ------------------------------------------------------------------------------------------
    def _look(self, connection: Connection, host: str) -> _Seen:
        at = self._monotonic()
        content = self._content(connection)
        if content is None:
            if not connection.create:  # told before a token is fetched for it in vain
                raise self._may_not_create(connection)
            seen = _Seen(at)
        else:
            seen = _Seen(at, exists=True, description=content["description"], usable=entry.usable(content, host))
        self._seen[connection.id] = seen
        return seen

    def _content(self, connection: Connection) -> dict[str, Any] | None:
        """The connection as the API shows it, its description a text or None; None if it is not there."""
        answer, _ = self._session.call("GET", _path(connection))
        if answer.refused(404):
            return None
        if answer.done and isinstance(description := answer.content.get("description"), str | None):
            return {**answer.content, "description": description}
        raise failure(self._transport.who, f"a look at the connection {connection.id}", answer)

    def _write(self, connection: Connection, host: str, credential: Credential, seen: _Seen) -> bool:
        """Patch what is there, or create it; false where it has gone or come since the look."""
        # No update_mask: Airflow 3 answers 200 to one that it does not understand, and does nothing. Without one,
        # fields that are not sent stay as they are. It wants connection_id and conn_type in each PATCH.
        body = {"connection_id": connection.id, **entry.fields(host, credential, seen.description)}
        if seen.exists:
            method, path, not_as_seen = "PATCH", _path(connection), 404
        elif connection.create:
            method, path, not_as_seen = "POST", "/connections", 409
            if connection.team_name is not None:
                body["team_name"] = connection.team_name
        else:
            raise self._may_not_create(connection)
        answer, dialect = self._session.call(method, path, body)
        if answer.refused(not_as_seen):
            return False
        if too_long := dialect.too_long(answer, body):
            raise Failed(
                Reason.INVALID, f"{self._transport.who} does not take the connection {connection.id}: {too_long}"
            )
        if not answer.done:
            raise failure(self._transport.who, f"{method} of the connection {connection.id}", answer, body)
        return True

    def _may_not_create(self, connection: Connection) -> Failed:
        words = f"has no connection {connection.id}; create it there, or set create: true"
        return Failed(Reason.MISSING, f"{self._transport.who} {words}")


def _path(connection: Connection) -> str:
    return f"/connections/{quote(connection.id, safe='')}"
