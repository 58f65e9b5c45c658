"""The JSON Web Tokens of the Airflow stand-in: signed, short-lived, and void when the key changes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable


class Expired(Exception):
    """The token was ours, but its time is over."""


class Invalid(Exception):
    """The token is none, or none of ours."""


class JwtMint:
    """Issues and checks tokens.

    `life_s` and `leeway_s` (seconds past its end in which a token still passes; Airflow's own is 10) may be changed
    at any time: the life for tokens to come, the leeway for all. `issued` keeps every token: what no log may contain.
    """

    def __init__(self, clock: Callable[[], float], life_s: float = 86400.0, leeway_s: float = 0.0) -> None:
        self.life_s = life_s
        self.leeway_s = leeway_s
        self.issued: list[str] = []
        self._clock = clock
        self._key = secrets.token_bytes(64)

    def rotate_key(self) -> None:
        """Take a new key: every token issued so far becomes invalid, as after a restart without a fixed secret."""
        self._key = secrets.token_bytes(64)

    def issue(self, subject: str) -> str:
        """Give a token for a user's name."""
        now = self._clock()
        claims = {"sub": subject, "iat": now, "nbf": now, "exp": now + self.life_s, "jti": secrets.token_hex(8)}
        signed = f"{_encode({'alg': 'HS512', 'typ': 'JWT'})}.{_encode(claims)}"
        self.issued.append(f"{signed}.{self._sign(signed)}")
        return self.issued[-1]

    def subject_of(self, token: str) -> str:
        """Name the user. Raises Expired or Invalid."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(self._sign(signed).encode(), signature.encode()):
            raise Invalid
        try:
            claims = json.loads(_decode(signed.partition(".")[2]))
            if self._clock() >= claims["exp"] + self.leeway_s:
                raise Expired
            return str(claims["sub"])
        except (binascii.Error, ValueError, KeyError) as error:
            raise Invalid from error

    def _sign(self, signed: str) -> str:
        return _base64url(hmac.new(self._key, signed.encode(), hashlib.sha512).digest())


def _encode(value: object) -> str:
    return _base64url(json.dumps(value).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
