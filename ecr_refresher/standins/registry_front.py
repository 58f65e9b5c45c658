"""A registry's front that wants ECR tokens: checks the login as ECR does, and passes the rest on to a real registry."""

from __future__ import annotations

import base64
import binascii
import enum
import json
import time
from collections.abc import Callable
from typing import NamedTuple

from . import script
from .exchange import Exchange, Reply
from .serving import StandIn
from .streaming import relay
from .tokens import USERNAME, TokenBook

API_VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}
EXPIRED = "Your authorization token has expired. Reauthenticate and try again."
PROXY_PAGE = (
    b"<html><head><title>Access Denied</title></head><body>Blocked by your organization's policy</body></html>\n"
)


class Login(NamedTuple):
    """One request under /v2/: when (seconds since the epoch), where, and how its login was judged.

    The verdict is `ok`, `expired`, `unknown`, `none` (no login was sent), or the fault that answered.
    """

    at: float
    path: str
    verdict: str
    host: str = ""  # the registry that was meant
    principal: str | None = None  # whom the token was issued to


class _Mood(enum.Enum):
    HONEST = "honest"
    REFUSE = "refuse"
    PROXY_403 = "proxy403"


class RegistryFront(StandIn):
    """The front of a registry, with TLS where a certificate and key are given.

    Without an `upstream` it only knows `GET /v2/`. `logins` keeps every request's verdict.
    """

    def __init__(
        self,
        book: TokenBook,
        upstream: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: tuple[str, str] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(host, port, tls=tls, clock=clock)
        self.book = book
        self.upstream = upstream
        self.logins: list[Login] = []
        self._mood = _Mood.HONEST
        self._forbidden: str | None = None
        self._script = script.Script[script.WireFault]()

    def forbid(self, action: str) -> None:
        """Deny images as ECR does for want of a right, e.g. `ecr:BatchImportUpstreamImage`; the login is good."""
        self._forbidden = action

    def refuse(self) -> None:
        """Answer every login with ECR's 401 from now on, right or wrong."""
        self._mood = _Mood.REFUSE

    def proxy403(self) -> None:
        """Answer as a corporate proxy that blocks the registry: 403 and a page."""
        self._mood = _Mood.PROXY_403

    def always(self, fault: script.WireFault) -> None:
        """Let all requests meet this fault of the wire, until `heal()`."""
        self._script.always(fault, {})

    def heal(self) -> None:
        """End every fault."""
        super().heal()
        self._script.clear()
        self._mood = _Mood.HONEST
        self._forbidden = None

    def respond(self, exchange: Exchange) -> None:
        path = exchange.path.partition("?")[0]
        if path != "/v2" and not path.startswith("/v2/"):
            exchange.send(Reply(404, b"404 page not found\n", "text/plain"))
            return
        fault = self._script.take({})
        if fault is not None:
            if not script.before(exchange, fault):
                script.after(exchange, fault, Reply(200, b"{}", headers=API_VERSION))
            return
        password = self._password(exchange)
        verdict = self._judge(exchange, password) if self._mood is _Mood.HONEST else self._mood.value
        whose = self.book.principal_of(password) if password else None
        self.logins.append(Login(self.clock(), path, verdict, exchange.headers.get("Host", ""), whose))
        match verdict:
            case "ok":
                self._serve(exchange, path)
            case "expired":
                exchange.send(_error(403, "DENIED", EXPIRED))
            case "proxy403":
                exchange.send(Reply(403, PROXY_PAGE, "text/html"))
            case _:
                realm = f'Basic realm="https://{exchange.headers.get("Host", self.host)}/",service="ecr.amazonaws.com"'
                headers = {**API_VERSION, "WWW-Authenticate": realm}
                exchange.send(Reply(401, b"Not Authorized\n", "text/plain", headers))

    def _password(self, exchange: Exchange) -> str | None:
        """The password that was sent; None where none can be made out."""
        kind, _, encoded = exchange.headers.get("Authorization", "").partition(" ")
        try:
            username, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return password if kind.lower() == "basic" and username == USERNAME else None

    def _judge(self, exchange: Exchange, password: str | None) -> str:
        if password is None:
            return "unknown" if exchange.headers.get("Authorization") else "none"
        return self.book.check(USERNAME, password)

    def _serve(self, exchange: Exchange, path: str) -> None:
        if self._forbidden and "/manifests/" in path:
            who = "User: arn:aws:sts::123456789012:assumed-role/ecr-pull/ecr-refresher"
            said = f"{who} is not authorized to perform: {self._forbidden} on resource: arn:aws:ecr:*:*:repository/*"
            exchange.send(_error(403, "DENIED", said))
        elif self.upstream:
            relay(exchange, self.upstream, "https" if self._tls else "http")
        elif path.rstrip("/") == "/v2" and exchange.command in ("GET", "HEAD"):
            exchange.send(Reply(200, b"{}", headers=API_VERSION))
        else:
            exchange.send(_error(404, "NAME_UNKNOWN", "repository name not known to registry"))


def _error(status: int, code: str, message: str) -> Reply:
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Reply(status, body, headers=API_VERSION)
