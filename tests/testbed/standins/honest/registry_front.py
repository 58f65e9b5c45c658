"""A stand-in for an ECR registry: checks logins as ECR does, and holds no images."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from ..tokens import USERNAME, TokenBook
from .server import Exchange, Reply, StandIn

API_VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}
EXPIRED = "Your authorization token has expired. Reauthenticate and try again."


class RegistryFront(StandIn):
    """Answers requests under /v2/ by the tokens of its book."""

    def __init__(self, book: TokenBook, **options: Any) -> None:
        super().__init__(**options)
        self.book = book

    def respond(self, exchange: Exchange) -> None:
        path = exchange.path.partition("?")[0]
        if path != "/v2" and not path.startswith("/v2/"):
            exchange.send(Reply(404, b"404 page not found\n", "text/plain"))
            return
        verdict = self.judge(exchange, path)
        if verdict == "ok":
            self.serve(exchange, path)
        else:
            self.refuse_login(exchange, verdict)

    def judge(self, exchange: Exchange, path: str) -> str:
        """Judge the login: `ok`, `expired`, `unknown`, or `none` if none was sent."""
        password = password_of(exchange)
        if password is None:
            return "unknown" if exchange.headers.get("Authorization") else "none"
        return self.book.check(USERNAME, password)

    def refuse_login(self, exchange: Exchange, verdict: str) -> None:
        """Answer a bad login as ECR does."""
        if verdict == "expired":
            exchange.send(error(403, "DENIED", EXPIRED))
            return
        realm = f'Basic realm="https://{exchange.headers.get("Host", self.host)}/",service="ecr.amazonaws.com"'
        exchange.send(Reply(401, b"Not Authorized\n", "text/plain", {**API_VERSION, "WWW-Authenticate": realm}))

    def serve(self, exchange: Exchange, path: str) -> None:
        """Answer a request whose login is good."""
        if path.rstrip("/") == "/v2" and exchange.command in ("GET", "HEAD"):
            exchange.send(Reply(200, b"{}", headers=API_VERSION))
        else:
            exchange.send(error(404, "NAME_UNKNOWN", "repository name not known to registry"))


def password_of(exchange: Exchange) -> str | None:
    """Return the password that was sent for the user AWS, None if it can't be read."""
    kind, _, encoded = exchange.headers.get("Authorization", "").partition(" ")
    try:
        username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return password if kind.lower() == "basic" and username == USERNAME else None


def error(status: int, code: str, message: str) -> Reply:
    """Build an error of the registry API."""
    return Reply(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), headers=API_VERSION)
