"""The stand-in for Airflow 3 with faults by script, under a path prefix, keeping record of what it was asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from . import script
from .airflow_faults import AirflowFault, Unprocessable
from .honest import airflow, server
from .honest.airflow import CONNECTIONS, detail, parsed, unprocessable
from .serving import StandIn


class Attempt(NamedTuple):
    """One `POST /auth/token`: when (seconds since the epoch), as whom, and whether it was granted."""

    at: float
    username: str
    granted: bool


class Read(NamedTuple):
    """One granted GET of a connection."""

    at: float
    connection_id: str


class Write(NamedTuple):
    """One write that took effect; the password is the one sent, None if none was."""

    at: float
    method: str
    connection_id: str
    password: str | None


class AirflowStandIn(StandIn, airflow.AirflowStandIn):
    """An Airflow API server under `prefix`; its first user may read and write.

    `meanwhile(method, connection_id)`, where set, is called after a write's request was read and before it is applied.
    """

    def __init__(
        self,
        username: str = "ecr-refresher",
        password: str = "ecr-refresher",
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        prefix: str = "",
        version: str = "3.3.2",
        tls: tuple[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(username, password, host=host, port=port, tls=tls, clock=clock)
        self.prefix = prefix.rstrip("/")
        self.version = version
        self.attempts: list[Attempt] = []
        self.reads: list[Read] = []
        self.writes: list[Write] = []
        self.meanwhile: Callable[[str, str], None] | None = None
        self._readers: set[str] = set()
        self._script = script.Script[AirflowFault]()

    @property
    def url(self) -> str:
        """The deployment's address, its path prefix included."""
        return super().url + self.prefix

    def set_user(self, username: str, password: str, *, read_only: bool = False) -> None:
        """Add a user, or change its password and rights."""
        self.users[username] = password
        (self._readers.add if read_only else self._readers.discard)(username)

    def rotate_key(self) -> None:
        """Invalidate every JWT, as a restart without a fixed secret does."""
        self.jwt.rotate_key()

    def next(self, *faults: AirflowFault, method: str | None = None, path: str | None = None) -> None:
        """Let the next requests meet these faults, one each; `path` is without the prefix, e.g. `/auth/token`."""
        self._script.next(faults, _where(method, path))

    def always(self, fault: AirflowFault, *, method: str | None = None, path: str | None = None) -> None:
        """Let all requests of that kind meet this fault, until `heal()`."""
        self._script.always(fault, _where(method, path))

    def heal(self) -> None:
        super().heal()
        self._script.clear()

    def respond(self, exchange: server.Exchange) -> None:
        raw = exchange.body()
        asked = urlsplit(exchange.path)._replace(scheme="", netloc="").geturl()  # a proxy is asked by whole addresses
        target = asked.removeprefix(self.prefix) if asked.startswith(f"{self.prefix}/") else ""
        path = unquote(urlsplit(target).path)
        fault = self._script.take(_where(exchange.command, path))
        if script.before(exchange, fault):
            return
        if isinstance(fault, Unprocessable):
            reply = unprocessable(parsed(raw))
        else:
            reply = self.reply(exchange, target, raw) if target else detail(404, "Not Found")
            self._record(exchange.command, path, raw, reply.status)
        script.after(exchange, fault, reply)

    def may_write(self, user: str) -> bool:
        return user not in self._readers

    def before_write(self, method: str, connection_id: str) -> None:
        if self.meanwhile:
            self.meanwhile(method, connection_id)

    def _record(self, method: str, path: str, raw: bytes, status: int) -> None:
        body, now = parsed(raw), self.clock()
        connection_id = path.removeprefix(f"{CONNECTIONS}/")
        if path == "/auth/token" and status in (201, 401):
            self.attempts.append(Attempt(now, body["username"], status == 201))
        elif path.startswith(CONNECTIONS) and method == "GET" and status in (200, 404):
            self.reads.append(Read(now, connection_id))
        elif path.startswith(CONNECTIONS) and status in (200, 201):
            name = body["connection_id"] if method == "POST" else connection_id
            self.writes.append(Write(now, method, name, (body or {}).get("password")))


def _where(method: str | None, path: str | None) -> dict[str, str]:
    return {name: value for name, value in (("method", method), ("path", path)) if value is not None}
