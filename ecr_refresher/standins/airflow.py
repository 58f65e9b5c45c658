"""A stand-in for Airflow 3's REST API: logins and connections, nothing else."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from . import airflow_jwt, script
from .airflow_connections import Connection, patched, problems, shown
from .airflow_faults import AirflowFault, Unprocessable
from .exchange import Exchange, Reply
from .serving import StandIn

CONNECTIONS = "/api/v2/connections"
OPEN_PATHS = frozenset({"/auth/token", "/api/v2/version", "/api/v2/monitor/health"})  # no login needed


class Attempt(NamedTuple):
    """One `POST /auth/token`: when (seconds since the epoch), as whom, and whether it was granted."""

    at: float
    username: str
    granted: bool


class Read(NamedTuple):
    """One granted GET; the connection id is None where all were listed."""

    at: float
    connection_id: str | None


class Write(NamedTuple):
    """One write that took effect; the password is the one sent, None if none was."""

    at: float
    method: str
    connection_id: str
    password: str | None


@dataclass(frozen=True, slots=True)
class _User:
    password: str
    read_only: bool


class AirflowStandIn(StandIn):
    """An Airflow API server under `prefix`; its first user may read and write.

    `connections` is its database: tests read and change it. `meanwhile(method, connection_id)`, where set, is called
    after a write's request was received and before it is applied. `jwt` has the tokens' `life_s` and `leeway_s`.
    """

    def __init__(
        self,
        username: str = "ecr-refresher",
        password: str = "ecr-refresher",
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        prefix: str = "",
        jwt_life_s: float = 86400.0,
        version: str = "3.3.2",
        tls: tuple[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(host, port, tls=tls, clock=clock)
        self.prefix = prefix.rstrip("/")
        self.version = version
        self.jwt = airflow_jwt.JwtMint(clock, jwt_life_s)
        self.connections: dict[str, Connection] = {}
        self.attempts: list[Attempt] = []
        self.reads: list[Read] = []
        self.writes: list[Write] = []
        self.meanwhile: Callable[[str, str], None] | None = None
        self._users: dict[str, _User] = {}
        self._script = script.Script[AirflowFault]()
        self._database = threading.RLock()
        self.set_user(username, password)

    @property
    def url(self) -> str:
        """The deployment's address, its path prefix included."""
        return super().url + self.prefix

    def set_user(self, username: str, password: str, *, read_only: bool = False) -> None:
        """Add a user, or change its password and rights."""
        self._users[username] = _User(password, read_only)

    def rotate_key(self) -> None:
        """Make every JWT invalid, as a restart without a fixed secret does."""
        self.jwt.rotate_key()

    def next(self, *faults: AirflowFault, method: str | None = None, path: str | None = None) -> None:
        """Let the next requests meet these faults, one each; `path` is without the prefix, e.g. `/auth/token`."""
        self._script.next(faults, _where(method, path))

    def always(self, fault: AirflowFault, *, method: str | None = None, path: str | None = None) -> None:
        """Let all requests of that kind meet this fault, until `heal()`."""
        self._script.always(fault, _where(method, path))

    def heal(self) -> None:
        """End every fault, scripted ones included."""
        super().heal()
        self._script.clear()

    def respond(self, exchange: Exchange) -> None:
        raw = exchange.body()
        address = urlsplit(exchange.path)
        path = unquote(address.path)
        path = path.removeprefix(self.prefix) if path.startswith(f"{self.prefix}/") else ""
        fault = self._script.take(_where(exchange.command, path))
        if script.before(exchange, fault):
            return
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = None
        if isinstance(fault, Unprocessable):
            reply = _detail(422, [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": body}])
        elif path in OPEN_PATHS:
            reply = self._open(exchange.command, path, body)
        else:
            bearer = exchange.headers.get("Authorization", "")
            reply = self._closed(exchange.command, path, parse_qs(address.query), body, bearer)
        script.after(exchange, fault, reply)

    def _open(self, method: str, path: str, body: Any) -> Reply:
        if path == "/auth/token":
            return self._log_in(body) if method == "POST" else _detail(405, "Method Not Allowed")
        if path == "/api/v2/version":
            return Reply.json(200, {"version": self.version, "git_version": None})
        return Reply.json(200, self._health())

    def _health(self) -> dict[str, dict[str, str]]:
        beat = dt.datetime.fromtimestamp(self.clock(), dt.UTC).isoformat()
        beating = ("scheduler", "triggerer", "dag_processor")
        parts = {part: {"status": "healthy", f"latest_{part}_heartbeat": beat} for part in beating}
        return {"metadatabase": {"status": "healthy"}, **parts}

    def _log_in(self, body: Any) -> Reply:
        if not isinstance(body, dict) or not all(isinstance(body.get(key), str) for key in ("username", "password")):
            return _detail(422, [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": body}])
        user = self._users.get(body["username"])
        granted = user is not None and user.password == body["password"]
        self.attempts.append(Attempt(self.clock(), body["username"], granted))
        if not granted:
            return _detail(401, "Invalid credentials")
        return Reply.json(201, {"access_token": self.jwt.issue(body["username"])})

    def _closed(self, method: str, path: str, query: dict[str, list[str]], body: Any, bearer: str) -> Reply:
        refusal = self._refusal(method, bearer)
        if refusal:
            return refusal
        if path == CONNECTIONS and method == "GET":
            return self._list(query)
        if path == CONNECTIONS and method == "POST":
            return self._create(body)
        connection_id = path.removeprefix(f"{CONNECTIONS}/")
        if connection_id in (path, "") or "/" in connection_id:
            return _detail(404, "Not Found")
        if method == "GET":
            return self._read(connection_id)
        if method == "PATCH":
            return self._patch(connection_id, body, query.get("update_mask", []))
        return self._delete(connection_id) if method == "DELETE" else _detail(405, "Method Not Allowed")

    def _refusal(self, method: str, bearer: str) -> Reply | None:
        kind, _, token = bearer.partition(" ")
        if kind.lower() != "bearer":
            return _detail(401, "Not authenticated")
        try:
            user = self._users[self.jwt.subject_of(token)]
        except airflow_jwt.Expired:
            return _detail(401, "Token Expired")
        except (airflow_jwt.Invalid, KeyError):
            return _detail(403, "Invalid JWT token")  # 403 indeed, seen on 3.3.2
        return _detail(403, "Forbidden") if user.read_only and method != "GET" else None

    def _list(self, query: dict[str, list[str]]) -> Reply:
        offset, limit = int(query.get("offset", ["0"])[0]), int(query.get("limit", ["50"])[0])
        with self._database:
            self.reads.append(Read(self.clock(), None))
            every = [shown(self.connections[name]) for name in sorted(self.connections)]
        return Reply.json(200, {"connections": every[offset : offset + limit], "total_entries": len(every)})

    def _read(self, connection_id: str) -> Reply:
        with self._database:
            self.reads.append(Read(self.clock(), connection_id))
            found = self.connections.get(connection_id)
        return Reply.json(200, shown(found)) if found else _missing(connection_id)

    def _create(self, body: Any) -> Reply:
        if wrong := problems(body):
            return _detail(422, wrong)
        name = body["connection_id"]
        self._let_pass("POST", name)
        with self._database:
            if name in self.connections:
                return _detail(409, {"reason": "Unique constraint violation", "statement": "hidden"})
            self.connections[name] = Connection(**body)
            return self._written("POST", 201, name, body.get("password"))

    def _patch(self, connection_id: str, body: Any, update_mask: list[str]) -> Reply:
        if wrong := problems(body):
            return _detail(422, wrong)
        if body["connection_id"] != connection_id:
            return _detail(400, "The connection_id in the request body does not match the URL parameter")
        self._let_pass("PATCH", connection_id)
        with self._database:
            if connection_id not in self.connections:
                return _missing(connection_id)
            self.connections[connection_id] = patched(self.connections[connection_id], body, update_mask)
            return self._written("PATCH", 200, connection_id, body.get("password"))

    def _delete(self, connection_id: str) -> Reply:
        self._let_pass("DELETE", connection_id)
        with self._database:
            if self.connections.pop(connection_id, None) is None:
                return _missing(connection_id)
            self.writes.append(Write(self.clock(), "DELETE", connection_id, None))
        return Reply(204)

    def _let_pass(self, method: str, connection_id: str) -> None:
        if self.meanwhile:
            self.meanwhile(method, connection_id)

    def _written(self, method: str, status: int, connection_id: str, password: str | None) -> Reply:
        self.writes.append(Write(self.clock(), method, connection_id, password))
        return Reply.json(status, shown(self.connections[connection_id]))


def _where(method: str | None, path: str | None) -> dict[str, str]:
    return {name: value for name, value in (("method", method), ("path", path)) if value is not None}


def _detail(status: int, detail: object) -> Reply:
    return Reply.json(status, {"detail": detail})


def _missing(connection_id: str) -> Reply:
    return _detail(404, f"The Connection with connection_id: `{connection_id}` was not found")
