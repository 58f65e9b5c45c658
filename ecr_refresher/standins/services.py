"""Amazon ECR, its registry and Airflow's API on one port: as much of each as the demo's daemon asks for."""

import base64
import json
import secrets
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CONNECTIONS = "/api/v2/connections"
Answer = tuple[int, Any]  # an HTTP status and what to send as JSON


class Services(ThreadingHTTPServer):
    """Listens on loopback. `tokens` maps each of ECR's tokens to its expiry; `connections` is Airflow's database."""

    def __init__(self, life_s: float, airflow_password: str) -> None:
        """Tokens live `life_s` seconds; Airflow takes any user with the password."""
        super().__init__(("127.0.0.1", 0), _Request)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.tokens: dict[str, float] = {}
        self.connections: dict[str, dict[str, Any]] = {}
        self.life_s, self.airflow_password = life_s, airflow_password
        self.jwt = secrets.token_urlsafe(100)

    def verdict(self, token: str | None) -> str:
        """What the registry says of a token: `ok`, `expired` or `unknown`."""
        expires_at = self.tokens.get(token or "")
        if expires_at is None:
            return "unknown"
        return "ok" if time.time() < expires_at else "expired"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report mistakes of its own, not clients that hang up."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes; with Nagle's algorithm each answer takes 40 ms
    server: Services

    def do_GET(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, content = self._answer(json.loads(raw or b"null"))
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", f'Basic realm="{self.server.url}/",service="ecr.amazonaws.com"')
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PATCH = do_GET  # noqa: N815 - the standard library's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Log nothing."""

    def _answer(self, body: Any) -> Answer:
        match self.command, self.path:
            case "POST", "/":
                return self._ecr()
            case "GET", "/v2/":
                return self._registry()
            case "GET", "/api/v2/version":
                return 200, {"version": "3.3.2"}
            case "POST", "/auth/token":
                if body["password"] != self.server.airflow_password:
                    return 401, {"detail": "Invalid credentials"}
                return 201, {"access_token": self.server.jwt}
            case _, path if not path.startswith(CONNECTIONS):
                return 404, {"detail": "Not Found"}
            case _ if self.headers.get("Authorization") != f"Bearer {self.server.jwt}":
                return 403, {"detail": "Invalid JWT token"}
        return self._connection(self.path.removeprefix(CONNECTIONS).removeprefix("/"), body)

    def _ecr(self) -> Answer:
        token, expires_at = secrets.token_urlsafe(1900), time.time() + self.server.life_s
        self.server.tokens[token] = expires_at
        given = {"authorizationToken": base64.b64encode(f"AWS:{token}".encode()).decode(), "expiresAt": expires_at}
        return 200, {"authorizationData": [given]}

    def _registry(self) -> Answer:
        login = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        match self.server.verdict(login.removeprefix("AWS:")):
            case "ok":
                return 200, {}
            case "expired":
                return 403, {"errors": [{"code": "DENIED", "message": "Your authorization token has expired."}]}
            case _:
                return 401, {}

    def _connection(self, name: str, body: Any) -> Answer:
        """Airflow's answer about a connection, the password masked."""
        known = self.server.connections
        if self.command == "POST":
            known[body["connection_id"]] = body
            return 201, body | {"password": "***"}
        if name not in known:
            return 404, {"detail": f"The Connection with connection_id: `{name}` was not found"}
        if self.command == "PATCH":
            known[name] |= body
        return 200, known[name] | {"password": "***"}
