"""The login at one Airflow: made once for all threads, made again when it is spent, never tried on in vain."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .... import logs
from ....core.model import Failed, Failure, Reason, Secret
from ....core.plan import Airflow, SecretRef
from ...files.secrets import describe
from . import dialects as airflow_dialects
from .answers import RIGHTS, Answer, failure
from .crowd import Crowd
from .dialects import Dialect, Requests

REFUSAL_HOLDS_S = 300.0  # a refused password is not tried again before that: it might lock the account
FAILURE_HOLDS_S = 5.0  # what the first thread met, those that waited for it need not try again


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """Who answers, and what opens the door; told apart by identity, so that a spent one is replaced once."""

    dialect: Dialect
    authorization: Secret | None


@dataclass(frozen=True, slots=True)
class _Setback:
    """A login that was refused, and the secret that it was tried with."""

    failure: Failure
    secret: Secret | None
    at: float


class Session:
    """Calls to one Airflow as one user; thread-safe."""

    def __init__(
        self,
        airflow: Airflow,
        transport: Requests,
        read_secret: Callable[[SecretRef], Secret],
        monotonic: Callable[[], float],
        crowd: Crowd,
    ) -> None:
        self._airflow = airflow
        self._transport = transport
        self._read_secret = read_secret
        self._monotonic = monotonic
        self._crowd = crowd
        self._lock = threading.Lock()
        self._entry: _Entry | None = None
        self._setback: _Setback | None = None

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[Answer, Dialect]:
        """Ask the API, `path` being that under its version; gives any answer that does not concern the login.

        A spent login is replaced once; so is the dialect, where Airflow was upgraded meanwhile. Raises Failed.
        """
        entry = self._enter()
        answer = self._ask(entry, method, path, body)
        if entry.dialect.knows_not(answer):
            dialect = airflow_dialects.find(self._transport, entry.authorization if self._airflow.token else None)
            if dialect != entry.dialect:
                entry = self._enter(spent=entry, dialect=dialect)
                answer = self._ask(entry, method, path, body)
        if entry.authorization is not None and entry.dialect.login_spent(answer):
            entry = self._enter(spent=entry)
            answer = self._ask(entry, method, path, body)
            if entry.dialect.login_spent(answer):
                raise self._never_good(answer)
        return answer, entry.dialect

    def find(self) -> Dialect:
        """Ask which Airflow answers, without a login where none is wanted for that. Raises Failed."""
        if self._entry is not None:
            return self._entry.dialect
        token = self._airflow.token
        bearer = _header("Bearer", self._read_secret(token), self._place) if token else None
        return airflow_dialects.find(self._transport, bearer)

    def enter(self) -> None:
        """Log in, unless that is done. Raises Failed."""
        self._enter()

    def _ask(self, entry: _Entry, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        return self._transport.request(method, entry.dialect.api + path, body, authorization=entry.authorization)

    def _enter(self, spent: _Entry | None = None, dialect: Dialect | None = None) -> _Entry:
        with self._lock:
            if self._entry is None or self._entry is spent:
                dialect = dialect or (self._entry.dialect if self._entry else None)
                self._entry = None
                self._entry = self._log_in(dialect)
            return self._entry

    def _log_in(self, dialect: Dialect | None) -> _Entry:
        secret = self._secret()
        self._spare(secret)
        try:
            bearer = _header("Bearer", secret, self._place) if self._airflow.token and secret else None
            dialect = dialect or self._find(bearer)
            if bearer or secret is None:
                return _Entry(dialect, bearer)
            return self._by_basic(dialect, secret) if dialect.basic else self._by_token(dialect, secret)
        except Failed as error:
            self._setback = _Setback(error.failure, secret, self._monotonic())
            raise

    def make_room(self) -> None:
        """Before what costs Airflow much: wait if many come. To ask its version costs little. Raises Failed."""
        if self._crowd.waits:
            entry = self._enter()
            bearer = entry.authorization if self._airflow.token else None
            path = f"{entry.dialect.api}/version"
            self._crowd.make_room(lambda: self._transport.request("GET", path, authorization=bearer))

    def _find(self, bearer: Secret | None) -> Dialect:
        return self._crowd.make_room(lambda: airflow_dialects.find(self._transport, bearer))

    def _secret(self) -> Secret | None:
        """The bearer token or the password, as its file is at this moment; None where the settings name no login."""
        if self._airflow.token:
            return self._read_secret(self._airflow.token)
        if self._airflow.username is None:
            return None
        if self._airflow.password is None:
            raise Failed(
                Reason.INVALID, f"{self._transport.who}: the user {self._airflow.username} has no password_file"
            )
        return self._read_secret(self._airflow.password)

    def _spare(self, secret: Secret | None) -> None:
        """Raise again what has just been met, instead of meeting it again: one wrong password is one try, not N."""
        last = self._setback
        if last is None or last.secret != secret:
            return
        holds = REFUSAL_HOLDS_S if last.failure.login_refused else FAILURE_HOLDS_S
        if self._monotonic() - last.at < holds:
            raise Failed(last.failure.reason, last.failure.message, login_refused=last.failure.login_refused)

    def _by_token(self, dialect: Dialect, password: Secret) -> _Entry:
        """Airflow 3: user and password buy a JSON Web Token."""
        body = {"username": self._airflow.username, "password": password.reveal()}
        answer = self._transport.request("POST", "/auth/token", body)
        if answer.refused(401, 403):
            raise self._refusal(f"refuses {self._user} ({answer.status}); correct one of them")
        if answer.refused(404, 405):
            words = f"has no POST /auth/token ({answer.status}): its auth manager sells no tokens for passwords"
            raise Failed(Reason.INVALID, f"{self._transport.who} {words}; get a token elsewhere and give token_file")
        token = answer.content.get("access_token") if answer.done else None
        if not isinstance(token, str) or not token:
            raise failure(self._transport.who, "the login", answer)
        return _Entry(dialect, _header("Bearer", logs.hide(Secret(token)), "the login's answer"))

    def _by_basic(self, dialect: Dialect, password: Secret) -> _Entry:
        """Airflow 2: the password goes with each call. One try shows whether it is good, before others do so too."""
        login = base64.b64encode(f"{self._airflow.username}:{password.reveal()}".encode()).decode()
        entry = _Entry(dialect, _header("Basic", logs.hide(Secret(login)), self._place))
        answer = self._ask(entry, "GET", "/connections?limit=1")
        if answer.refused(401):
            mend = "correct one of them, and have basic_auth among [api] auth_backends"
            raise self._refusal(f"refuses {self._user} (401); {mend}")
        if answer.refused(403):  # FAB's defaults say 403 to a wrong password, too
            raise self._refusal(
                f"refuses {self._user}, or the user's rights (403); correct the login, or grant {RIGHTS}"
            )
        if not answer.done:
            raise failure(self._transport.who, "a look at its connections", answer)
        return entry

    def _refusal(self, words: str) -> Failed:
        return Failed(Reason.DENIED, f"{self._transport.who} {words}", login_refused=True)

    def _never_good(self, answer: Answer) -> Failed:
        if self._airflow.token:
            words = (
                f"refuses the token in {self._place} ({answer.status}): expired, or not its own; put a new one there"
            )
        else:
            words = f"refuses the login that it has just granted ({answer.status}); do all its API servers share one"
            words += " [api_auth] jwt_secret, and agree on the time?"
        return Failed(Reason.DENIED, f"{self._transport.who} {words}")

    @property
    def _user(self) -> str:
        return f"the user {self._airflow.username} with the password in {self._place}"

    @property
    def _place(self) -> str:
        ref = self._airflow.token or self._airflow.password
        return describe(ref) if ref else "the settings"


def _header(kind: str, secret: Secret, place: str) -> Secret:
    """Build an Authorization header. What no header can hold is refused here: http.client would quote it in full."""
    text = secret.reveal()
    if not all("!" <= character <= "~" for character in text):
        raise Failed(
            Reason.INVALID, f"the token in {place} holds blanks, line ends or characters beyond ASCII; correct it"
        )
    return Secret(f"{kind} {text}")
