"""The bearer tokens that the stand-in for Airflow issues."""

from __future__ import annotations

import secrets
from collections.abc import Callable


class Expired(Exception):
    """The token was valid once."""


class Invalid(Exception):
    """The token is not one that was issued with the current key."""


class Logins:
    """Issues and checks tokens. `life_s` (seconds) may change at any time, for tokens issued from then on.

    `issued` keeps every token, so that a test can search logs for them.
    """

    def __init__(self, clock: Callable[[], float], life_s: float = 86400.0) -> None:
        self.life_s = life_s
        self.issued: list[str] = []
        self._clock = clock
        self._valid: dict[str, tuple[str, float]] = {}  # token -> user, expiry

    def rotate_key(self) -> None:
        """Invalidate every token, as a restart of Airflow without a fixed secret key does."""
        self._valid.clear()

    def issue(self, user: str) -> str:
        """Return a new token for a user."""
        token = f"eyJ{secrets.token_urlsafe(24)}.{secrets.token_urlsafe(90)}.{secrets.token_urlsafe(64)}"
        self.issued.append(token)
        self._valid[token] = (user, self._clock() + self.life_s)
        return token

    def user_of(self, token: str) -> str:
        """Return the user of a token. Raises Expired or Invalid."""
        if token not in self._valid:
            raise Invalid
        user, expires_at = self._valid[token]
        if self._clock() >= expires_at:
            raise Expired
        return user
