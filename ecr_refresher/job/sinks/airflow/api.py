"""One Airflow as a place for credentials: each connection is looked at, and given what is ours, never more."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from msgspec import structs

from ....core import budgets
from ....core.model import NOTHING, Credential, Failed, Holding, Outcome, Reason
from ....core.plan import Airflow, Connection
from ...files.secrets import ReadSecret
from . import entry, marker
from .answers import Content, failure
from .entry import Shape, Wanted
from .login import Session
from .mwaa import Call, MwaaTransport
from .transport import TIMEOUT_S, Transport, bare

LOOK_HOLDS_S = 1.0  # an older look, or one older than it took itself, is no ground for a write
ROUNDS = 3  # how often somebody else may create or delete the connection in the moment of our write


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look found of a connection, and until when that is a ground for a write, on the monotonic clock."""

    exists: bool
    description: str | None
    good_until: float


class AirflowSink:
    """All connections of one Airflow, behind one login; thread-safe. Speaks to Airflow 3 and Airflow 2.

    What it has found out (the version, the login, what a look saw) is kept for its own lifetime: a pass.
    """

    def __init__(
        self,
        airflow: Airflow,
        *,
        read_secret: ReadSecret,
        call: Call | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        timeout_s: tuple[float, float] = TIMEOUT_S,
    ) -> None:
        """`call` makes calls of AWS, for an Airflow that Amazon manages."""
        self._transport: Transport | MwaaTransport
        if airflow.mwaa is not None and call is not None:
            self._transport = MwaaTransport(airflow.name, airflow.mwaa, call)
        else:
            who = f"Airflow '{airflow.name}' at {bare(airflow.url)}"
            self._transport = Transport(who, airflow.url.rstrip("/"), airflow, read_secret, timeout_s)
        provider = None
        if (client := airflow.client) and client.token_url:
            who = f"the identity provider of Airflow '{airflow.name}' at {bare(client.token_url)}"
            only_ca = structs.replace(airflow, client_cert=None, client_key=None, headers=())
            provider = Transport(who, client.token_url, only_ca, read_secret)
        self._session = Session(airflow, self._transport, read_secret, monotonic, provider)
        self._monotonic = monotonic
        self._seen: dict[str, _Seen] = {}  # by connection

    def look(self, connection: Connection, host: str) -> Holding:
        """Say until when the connection holds a login for this registry, as its marker records it. Raises Failed.

        It holds nothing where a pull could not use it: no such connection, another type, host or login, or no password.
        Its port is the user's own and can't be put right here, so it does not count.
        """
        holding, seen = self._look(connection, host)
        if len(seen.description or "") <= budgets.AIRFLOW_DESCRIPTION_KEPT:
            self._seen[connection.id] = seen
        return holding

    def deliver(self, connection: Connection, host: str, credential: Credential, *, still_wanted: Wanted) -> Outcome:
        """Write the credential: `written`; or `skipped` where a newer look was due and finds it no longer wanted.

        Raises Failed; `missing` where there is no connection and none may be created. A write whose answer does not
        come is not repeated: it may have been done, and the next look shows it.
        """
        seen = self._seen.pop(connection.id, None)
        for _ in range(ROUNDS):
            if seen is None or self._monotonic() > seen.good_until:  # somebody else may well have written since
                holding, seen = self._look(connection, host)
                if not still_wanted(holding):
                    return Outcome.SKIPPED
            if self._write(connection, host, credential, seen):
                return Outcome.WRITTEN
            seen = None
        message = f"{self._transport.who}: the connection {connection.id} comes and goes"
        raise Failed(Reason.TRANSIENT, message, "Stop the script that deletes and adds it")

    # --- what `check` asks; nothing of it changes anything -----------------------------------------------------------
    def version(self) -> str:
        """Which Airflow answers, e.g. `3.3`; asked without a login. Raises Failed."""
        major, minor = self._session.find().version
        return f"{major}.{minor}"

    def enter(self) -> None:
        """Log in. Raises Failed."""
        self._session.enter()

    def inspect(self, connection: Connection, host: str) -> Shape | None:
        """Say what the connection is like; None if it is not there. Raises Failed."""
        content = self._content(connection)
        return None if content is None else entry.shape(content, host)

    def may(self, connection: Connection) -> tuple[str, ...]:
        """Which of `can_edit` and `can_create` the user lacks; found by requests that no Airflow could carry out.

        Rights are judged before the body: without them the answer is 403, with them the body is refused (422 of
        Airflow 3, which misses conn_type; 400 or 404 of Airflow 2, where an id can't be changed). Raises Failed.
        """
        another = {"connection_id": f"{connection.id}."[-200:]}
        nameless = {"connection_id": "no name of a connection!"}  # no Airflow takes it
        if connection.team_name is not None:
            nameless["team_name"] = connection.team_name
        tries = {"can_edit": ("PATCH", _path(connection), another), "can_create": ("POST", "/connections", nameless)}
        lacking = []
        for right, (method, path, body) in tries.items():
            answer, _ = self._session.call(method, path, body)
            if answer.refused(403):
                lacking.append(right)
            elif not answer.refused(400, 404, 422):
                raise failure(self._transport.who, f"a {method} without effect", answer, sent=body)
        return tuple(lacking)

    # --- looking and writing ------------------------------------------------------------------------------------------
    def _look(self, connection: Connection, host: str) -> tuple[Holding, _Seen]:
        self._session.enter()  # so that its time does not count for the look's
        began = self._monotonic()
        content = self._content(connection)
        ended = self._monotonic()
        if content is None and not connection.create:  # fail before a token is fetched for it
            raise Failed(Reason.MISSING, f"{self._transport.who} has no connection {connection.id}", entry.CREATE_IT)
        description = content.get("description") if content else None
        seen = _Seen(content is not None, description, ended + max(LOOK_HOLDS_S, ended - began))
        if content is None or not entry.usable(content, host):
            return NOTHING, seen
        return Holding(marker.read(description, host)), seen

    def _content(self, connection: Connection) -> Content | None:
        """The connection as the API shows it; None if it is not there."""
        answer, _ = self._session.call("GET", _path(connection))
        if answer.refused(404):
            return None
        if answer.done:
            return answer.content
        what = f"a look at the connection {connection.id}"
        raise failure(self._transport.who, what, answer, team=connection.team_name)

    def _write(self, connection: Connection, host: str, credential: Credential, seen: _Seen) -> bool:
        """Patch the connection, or create it; false where it was deleted or created since the look."""
        # No update_mask: Airflow 3 answers 200 to one that it does not understand, and does nothing. Without one,
        # fields that are not sent stay as they are. It wants connection_id and conn_type in each PATCH.
        # The description is the one thing that goes back with a write.
        body = {"connection_id": connection.id, **entry.fields(host, credential, seen.description)}
        method, path, not_as_seen = "PATCH", _path(connection), 404
        if not seen.exists:
            method, path, not_as_seen = "POST", "/connections", 409
            if connection.team_name is not None:
                body["team_name"] = connection.team_name
        answer, dialect = self._session.call(method, path, body)
        if answer.refused(not_as_seen):
            return False
        if too_long := dialect.too_long(answer, body):
            message, fix = too_long
            raise Failed(Reason.INVALID, f"{self._transport.who} can't hold {connection.id}: {message}", fix)
        if not answer.done:
            what = f"{method} of the connection {connection.id}"
            raise failure(self._transport.who, what, answer, sent=body, team=connection.team_name)
        return True


def _path(connection: Connection) -> str:
    return f"/connections/{quote(connection.id, safe='')}"
