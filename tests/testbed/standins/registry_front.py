"""The registry's front with its faults, before a real registry where one is given."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from typing import NamedTuple

from . import script
from .honest import registry_front, server
from .honest.registry_front import API_VERSION, error, password_of
from .honest.server import Reply
from .serving import Exchange, StandIn
from .streaming import relay
from .tokens import TokenBook

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


class RegistryFront(StandIn, registry_front.RegistryFront):
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
        super().__init__(book, host=host, port=port, tls=tls, clock=clock)
        self.upstream = upstream
        self.logins: list[Login] = []
        self._mood = _Mood.HONEST
        self._forbidden: str | None = None
        self._script = script.Script[script.WireFault]()
        self.of_manifests: dict[str, int] = {}  # repository -> the status of every answer about its manifests

    def forbid(self, action: str) -> None:
        """Deny images as ECR does where a right is missing, e.g. `ecr:BatchImportUpstreamImage`; logins are good."""
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
        super().heal()
        self._script.clear()
        self._mood = _Mood.HONEST
        self._forbidden = None
        self.of_manifests = {}

    def respond(self, exchange: server.Exchange) -> None:
        fault = self._script.take({})
        if fault is None:
            registry_front.RegistryFront.respond(self, exchange)
        elif not script.before(exchange, fault):
            script.after(exchange, fault, Reply(200, b"{}", headers=API_VERSION))

    def judge(self, exchange: server.Exchange, path: str) -> str:
        verdict = super().judge(exchange, path) if self._mood is _Mood.HONEST else self._mood.value
        password = password_of(exchange)
        whose = self.book.principal_of(password) if password else None
        self.logins.append(Login(self.clock(), path, verdict, exchange.headers.get("Host", ""), whose))
        return verdict

    def refuse_login(self, exchange: server.Exchange, verdict: str) -> None:
        if verdict == "proxy403":
            exchange.send(Reply(403, PROXY_PAGE, "text/html"))
        else:
            super().refuse_login(exchange, verdict)

    def serve(self, exchange: server.Exchange, path: str) -> None:
        if self._forbidden and "/manifests/" in path:
            who = "User: arn:aws:sts::123456789012:assumed-role/ecr-pull/ecr-refresher"
            said = f"{who} is not authorized to perform: {self._forbidden} on resource: arn:aws:ecr:*:*:repository/*"
            exchange.send(error(403, "DENIED", said))
        elif "/manifests/" in path and path.split("/")[2] in self.of_manifests:
            exchange.send(error(self.of_manifests[path.split("/")[2]], "MANIFEST_UNKNOWN", "Requested image not found"))
        elif self.upstream:
            assert isinstance(exchange, Exchange)
            relay(exchange, self.upstream, self.scheme)
        else:
            super().serve(exchange, path)
