"""The tokens that the stand-in for ECR issues and the registry's front checks."""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

USERNAME = "AWS"

Verdict = Literal["ok", "expired", "unknown"]


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """One token; times are seconds since the epoch by the book's clock, exact to the millisecond as ECR's are."""

    username: str
    password: str = field(repr=False)  # thousands of characters that help nobody in a test's output
    authorization_token: str = field(repr=False)
    principal: str
    issued_at: float
    expires_at: float


class TokenBook:
    """Issues unique tokens and checks them; thread-safe.

    `life_s` (seconds) and `length` (characters of the password) may be changed at any time, for the tokens to come.
    """

    def __init__(self, life_s: float = 43200.0, clock: Callable[[], float] = time.time, length: int = 2500) -> None:
        self.life_s = life_s
        self.clock = clock
        self.length = length
        self._lock = threading.Lock()
        self._issued: dict[str, IssuedToken] = {}  # by password, oldest first
        self._valid: dict[str, IssuedToken] = {}

    def issue(self, principal: str = "default", life_s: float | None = None) -> IssuedToken:
        """Make a new token for `principal`; `life_s` overrides the book's for this one."""
        password = secrets.token_urlsafe(self.length)[: self.length]
        now = self.clock()
        token = IssuedToken(
            username=USERNAME,
            password=password,
            authorization_token=base64.b64encode(f"{USERNAME}:{password}".encode()).decode(),
            principal=principal,
            issued_at=round(now, 3),
            expires_at=round(now + (self.life_s if life_s is None else life_s), 3),
        )
        with self._lock:
            self._issued[password] = token
            self._valid[password] = token
        return token

    def check(self, username: str, password: str) -> Verdict:
        """Judge a login at this moment; a revoked token is unknown."""
        with self._lock:
            token = self._valid.get(password)
        if token is None or username != token.username:
            return "unknown"
        return "ok" if self.clock() < token.expires_at else "expired"

    def principal_of(self, password: str) -> str | None:
        """Return the principal of a token, of a revoked or expired one too; None for a foreign token."""
        with self._lock:
            token = self._issued.get(password)
        return None if token is None else token.principal

    def revoke_all(self) -> None:
        """Invalidate every token. ECR has no such call, but `expiresAt` is only an upper bound there."""
        with self._lock:
            self._valid.clear()

    def all_issued(self) -> list[IssuedToken]:
        """List every token ever issued, oldest first. No log, page or report may contain one."""
        with self._lock:
            return list(self._issued.values())
