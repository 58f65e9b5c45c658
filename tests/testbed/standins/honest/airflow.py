"""A stand-in for Airflow 3's REST API: logins, and reading and writing single connections."""

from __future__ import annotations

import json
import threading
from typing import Any
from urllib.parse import unquote, urlsplit

from .airflow_connections import Connection, patched, problems, shown
from .airflow_logins import Expired, Invalid, Logins
from .server import Exchange, Reply, StandIn

CONNECTIONS = "/api/v2/connections"
OPEN_PATHS = frozenset({"/auth/token", "/api/v2/version"})  # no login needed


class AirflowStandIn(StandIn):
    """An Airflow API server. `connections` is its database, `jwt` its logins, `users` maps names to passwords."""

    version = "3.3.2"

    def __init__(self, username: str, password: str, **options: Any) -> None:
        super().__init__(**options)
        self.jwt = Logins(self.clock)
        self.users = {username: password}
        self.connections: dict[str, Connection] = {}
        self._database = threading.RLock()

    def respond(self, exchange: Exchange) -> None:
        exchange.send(self.reply(exchange, exchange.path, exchange.body()))

    def reply(self, exchange: Exchange, target: str, raw: bytes) -> Reply:
        """Answer a request for `target`, a path with its query."""
        path, body = unquote(urlsplit(target).path), parsed(raw)
        if path in OPEN_PATHS:
            return self._open(exchange.command, path, body)
        user = self._user(exchange.headers.get("Authorization", ""))
        if isinstance(user, Reply):
            return user
        if exchange.command != "GET" and not self.may_write(user):
            return detail(403, "Forbidden")
        return self._closed(exchange.command, path, body)

    def may_write(self, user: str) -> bool:
        """Say whether a user may change connections."""
        return True

    def before_write(self, method: str, connection_id: str) -> None:
        """Do nothing; called after a write's request was read and before it takes effect."""

    def _open(self, method: str, path: str, body: Any) -> Reply:
        if path == "/auth/token":
            return self._log_in(body) if method == "POST" else detail(405, "Method Not Allowed")
        return Reply.json(200, {"version": self.version, "git_version": None})

    def _log_in(self, body: Any) -> Reply:
        if not isinstance(body, dict) or not all(isinstance(body.get(key), str) for key in ("username", "password")):
            return unprocessable(body)
        if self.users.get(body["username"]) != body["password"]:
            return detail(401, "Invalid credentials")
        return Reply.json(201, {"access_token": self.jwt.issue(body["username"])})

    def _user(self, authorization: str) -> str | Reply:
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer":
            return detail(401, "Not authenticated")
        try:
            return self.jwt.user_of(token)
        except Expired:
            return detail(401, "Token Expired")
        except Invalid:
            return detail(403, "Invalid JWT token")  # 403 indeed, seen on 3.3.2

    def _closed(self, method: str, path: str, body: Any) -> Reply:
        if path == CONNECTIONS and method == "POST":
            return self._create(body)
        connection_id = path.removeprefix(f"{CONNECTIONS}/")
        if connection_id in (path, "") or "/" in connection_id:
            return detail(404, "Not Found")
        if method == "GET":
            found = self.connections.get(connection_id)
            return Reply.json(200, shown(found)) if found else _missing(connection_id)
        if method == "PATCH":
            return self._patch(connection_id, body)
        return detail(405, "Method Not Allowed")

    def _create(self, body: Any) -> Reply:
        if wrong := problems(body):
            return detail(422, wrong)
        name = body["connection_id"]
        self.before_write("POST", name)
        with self._database:
            if name in self.connections:
                return detail(409, {"reason": "Unique constraint violation", "statement": "hidden"})
            self.connections[name] = Connection(**body)
            return Reply.json(201, shown(self.connections[name]))

    def _patch(self, connection_id: str, body: Any) -> Reply:
        if wrong := problems(body):
            return detail(422, wrong)
        if body["connection_id"] != connection_id:
            return detail(400, "The connection_id in the request body does not match the URL parameter")
        self.before_write("PATCH", connection_id)
        with self._database:
            if connection_id not in self.connections:
                return _missing(connection_id)
            self.connections[connection_id] = patched(self.connections[connection_id], body)
            return Reply.json(200, shown(self.connections[connection_id]))


def parsed(raw: bytes) -> Any:
    """Return the JSON of a body, None if it is empty or not JSON."""
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None


def detail(status: int, said: object) -> Reply:
    """Build an error in Airflow's form."""
    return Reply.json(status, {"detail": said})


def unprocessable(body: Any) -> Reply:
    """Build a 422 that echoes the body, its password included, as Airflow's validation does."""
    return detail(422, [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": body}])


def _missing(connection_id: str) -> Reply:
    return detail(404, f"The Connection with connection_id: `{connection_id}` was not found")
