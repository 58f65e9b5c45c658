"""The login at one Airflow: made once for all threads, again when it is spent, and tried once with a wrong password."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from .... import logs
from ....core.model import Failed, Failure, Reason, Secret
from ....core.plan import Airflow
from ...files.secrets import ReadSecret, describe
from ..batches import Batches
from . import dialects, identity_provider
from .answers import RIGHTS, Answer, Body, failure
from .dialects import Dialect
from .mwaa import MwaaTransport
from .transport import Transport

FAILURE_HOLDS_S = 5.0  # after a failed login, later threads fail the same way without a try of their own
WAIT_S = 45.0  # for the login that another thread makes: the version asked twice, and the login


@dataclass(frozen=True, slots=True, eq=False)
class _Login:
    """Which Airflow answers, and the header that opens it; compared by identity, so that a spent one is replaced once.

    `proven` is false where Airflow has not said yet whether the password is right. It is not used past `spent_at`, on
    the monotonic clock.
    """

    dialect: Dialect
    authorization: Secret | None
    proven: bool = True
    spent_at: float | None = None


class Session:
    """Calls to one Airflow as one user; thread-safe. Lives for a pass."""

    def __init__(
        self,
        airflow: Airflow,
        transport: Transport | MwaaTransport,
        read_secret: ReadSecret,
        monotonic: Callable[[], float],
        provider: Transport | None = None,
    ) -> None:
        """`provider` is the way to the `token_url` of the Airflow's client, where it has one."""
        self._airflow, self._transport, self._provider = airflow, transport, provider
        self._read_secret, self._monotonic = read_secret, monotonic
        client = airflow.client
        # Where the bearer token, the password or the client secret is; None where the settings name no login.
        self._ref = airflow.token or airflow.password or (client.secret if client else None)
        self._place = "the settings" if self._ref is None else describe(self._ref)
        who = f"the client {client.id} with the secret" if client else f"the user {airflow.username} with the password"
        self._what = f"{who} in {self._place}"
        # A bearer token that comes from elsewhere goes with the version, too, for a proxy in front.
        self._bearer_first = airflow.token is not None or provider is not None
        self._login: _Login | None = None
        self._dialect: Dialect | None = None  # of the next login, if that is known
        self._logins = Batches(self._log_in_for, WAIT_S)
        # The last login that failed: why, the secret that it was tried with, and when.
        self._setback: tuple[Failure, Secret | None, float] | None = None

    def call(self, method: str, path: str, body: Body = None) -> tuple[Answer, Dialect]:
        """Ask the API, `path` being that under its version; gives any answer that is not about the login.

        A spent login is replaced once; so is the dialect, where Airflow was upgraded meanwhile. Raises Failed.
        """
        login = self.enter()
        answer = self._ask(login, method, path, body)
        if login.dialect.is_unknown_to(answer):
            dialect = self._find(login.authorization if self._bearer_first else None)
            if dialect != login.dialect:
                self._dialect = dialect
                login = self.enter(spent=login)
                answer = self._ask(login, method, path, body)
        if not login.proven and answer.refused(401, 403):
            raise self._refused_basic(answer)
        if login.authorization is not None and login.dialect.login_spent(answer):
            login = self.enter(spent=login)
            answer = self._ask(login, method, path, body)
            if login.dialect.login_spent(answer):
                raise self._never_good(answer)
        return answer, login.dialect

    def find(self) -> Dialect:
        """Ask which Airflow answers, without a login where none is needed for that. Raises Failed."""
        if self._login is not None or self._bearer_first:
            return self.enter().dialect
        return self._find(None)

    def enter(self, spent: _Login | None = None) -> _Login:
        """The login of all threads; the first to need a new one makes it, the others wait for that. Raises Failed."""
        if (login := self._good(spent)) is not None:
            return login
        try:
            return self._logins.do(spent)
        except TimeoutError:
            message = f"{self._transport.who} did not finish the login within {WAIT_S:g} s"
            raise Failed(Reason.TRANSIENT, message, "Look into the load of Airflow's API server") from None

    def _log_in_for(self, spent: Sequence[_Login | None]) -> list[_Login]:
        login = self._good(*spent)
        if login is None:
            self._login = None
            login = self._login = self._log_in()
        return [login] * len(spent)

    def _good(self, *spent: _Login | None) -> _Login | None:
        login = self._login
        over = login is None or login in spent or (login.spent_at is not None and self._monotonic() >= login.spent_at)
        return None if over else login

    def _ask(self, login: _Login, method: str, path: str, body: Body = None) -> Answer:
        return self._transport.request(method, login.dialect.api + path, body, authorization=login.authorization)

    def _log_in(self) -> _Login:
        secret = None if self._ref is None else self._read_secret(self._ref)  # as its file is at this moment
        if self._setback is not None:
            # What has just happened is raised again: a wrong password is one try, whatever the number of connections.
            failure, tried, at = self._setback
            if tried == secret and (failure.login_refused or self._monotonic() - at < FAILURE_HOLDS_S):
                raise Failed.of(failure)
        try:
            return self._try(secret)
        except Failed as error:
            self._dialect = None
            self._setback = error.failure, secret, self._monotonic()
            raise

    def _try(self, secret: Secret | None) -> _Login:
        bearer, spent_at, client = None, None, self._airflow.client
        if self._airflow.token and secret is not None:
            bearer = _header("Bearer", secret, self._place)
        elif self._provider and client and secret is not None:
            token, use_s = identity_provider.fetch(self._provider, client, secret, self._place)
            bearer, spent_at = _header("Bearer", token, "the answer of token_url"), self._monotonic() + use_s
        dialect = self._dialect = self._dialect or self._find(bearer)
        if bearer or secret is None:
            return _Login(dialect, bearer, spent_at=spent_at)
        if client is not None or not dialect.basic:
            return self._by_token(dialect, secret)
        return self._by_basic(dialect, secret)

    def _find(self, bearer: Secret | None) -> Dialect:
        given = [f"the token {'of token_url' if self._provider else f'in {self._place}'}"] if bearer else []
        if names := ", ".join(header.name for header in self._airflow.headers):
            given.append(f"the headers ({names})")
        return dialects.find(self._transport, bearer, " and ".join(given))

    def _by_token(self, dialect: Dialect, secret: Secret) -> _Login:
        """Airflow 3: user and password, or a client's credentials, buy a JSON Web Token."""
        body = {"username": self._airflow.username, "password": secret.reveal()}
        if client := self._airflow.client:
            body = {"grant_type": "client_credentials", "client_id": client.id, "client_secret": secret.reveal()}
        answer = self._transport.request("POST", "/auth/token", body)
        if answer.refused(401, 403):
            raise self._refusal(answer, f"Correct {self._what}")
        if answer.refused(404, 405) or (client and answer.refused(400, 422)):
            message = f"{self._transport.who} answered {answer.status} to POST /auth/token"
            reason = "takes no client credentials" if client else "gives no tokens for passwords"
            fix = "Give token_url, or another login" if client else "Get a token elsewhere and give token_file"
            raise Failed(Reason.INVALID, f"{message}: its auth manager {reason}", fix)
        token = answer.fields.get("access_token")
        if not answer.done or not token:
            raise failure(self._transport.who, "the login", answer)
        return _Login(dialect, _header("Bearer", logs.hide(Secret(token), logs.SHORTEST_TOKEN), "the login's answer"))

    def _by_basic(self, dialect: Dialect, password: Secret) -> _Login:
        """Airflow 2: the password goes with each call. One try shows whether it is good, before others are made.

        The try is a look at a connection of ours: a list of all fails with 500 as soon as one can't be decrypted.
        """
        text = base64.b64encode(f"{self._airflow.username}:{password.reveal()}".encode()).decode()
        login = _Login(dialect, _header("Basic", logs.hide(Secret(text)), self._place), proven=False)
        ours = self._airflow.connections[0].id if self._airflow.connections else "docker_default"
        answer = self._ask(login, "GET", f"/connections/{quote(ours, safe='')}")
        if answer.refused(401, 403):
            raise self._refused_basic(answer)
        if answer.done or answer.refused(404):
            return _Login(dialect, login.authorization)
        if answer.status < 500:
            raise failure(self._transport.who, f"a look at the connection {ours}", answer)
        return login  # a 5xx is no verdict on the password

    def _refused_basic(self, answer: Answer) -> Failed:
        backends = "have basic_auth among [api] auth_backends (the default is session alone)"
        if answer.status == 401 and answer.wants_basic:  # so basic_auth is on
            return self._refusal(answer, f"Correct {self._what}")
        if answer.status == 401:
            return self._refusal(answer, f"Have Airflow take passwords: {backends}; or correct the login")
        fix = f"Correct the login, grant {RIGHTS}, or {backends}"  # FAB's 403 may mean any of the three
        return self._refusal(answer, fix)

    def _refusal(self, answer: Answer, fix: str) -> Failed:
        message = f"{self._transport.who} refuses {self._what} ({answer.status})"
        return Failed(Reason.DENIED, message, fix, login_refused=True)

    def _never_good(self, answer: Answer) -> Failed:
        who, status = self._transport.who, answer.status
        if self._provider is not None:
            message = f"{who} refuses the token that token_url gave ({status})"
            return Failed(Reason.DENIED, message, "Give the scope and audience that Airflow, or its proxy, wants")
        if self._airflow.token:
            message = f"{who} refuses the token in {self._place} ({status}): expired, or not its own"
            return Failed(Reason.DENIED, message, "Put a new token there")
        fix = "Give all its API servers one [api_auth] jwt_secret, and set their clocks right"
        return Failed(Reason.DENIED, f"{who} refuses the login that it has just granted ({status})", fix)


def _header(kind: str, secret: Secret, place: str) -> Secret:
    """Build an Authorization header. What no header can hold is refused here: http.client would quote it in full."""
    text = secret.reveal()
    if not all("!" <= character <= "~" for character in text):
        message = f"the token in {place} holds blanks, line ends or characters beyond ASCII"
        raise Failed(Reason.INVALID, message, "Put the bare token there, without 'Bearer' in front")
    return Secret(f"{kind} {text}")
