"""Requests to one Airflow, over the official client's own transport: login, re-login, and errors with their mend.

Nothing of an answer that is not 2xx is kept or shown: Airflow 3 echoes the password in a 422.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from ... import logs
from ...core.model import Failed, Reason, Secret
from ...core.plan import Airflow, SecretRef
from ..secrets import describe

CONNECT_S, READ_S = 3.05, 15.0
ANSWER_MAX = 1 << 20
JSON_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
RIGHTS = "can_read, can_create and can_edit on Connections (with SimpleAuthManager: the role op)"


class Transport:
    """One Airflow's API as one user; threads share the login."""

    def __init__(self, airflow: Airflow, read_secret: Callable[[SecretRef], Secret]) -> None:
        self._airflow = airflow
        self._read_secret = read_secret
        self._client = _client(airflow)
        self._lock = threading.Lock()
        self._jwt: Secret | None = None
        self._refused: Failed | None = None

    @property
    def name(self) -> str:
        return f"Airflow '{self._airflow.name}' at {self._airflow.url}"

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """Send one request with the login; gives status and answer for 2xx, 404 and 409. Raises Failed for all else.

        A token that the server no longer takes (expired, or its key has changed) is replaced once.
        """
        token = self._token()
        status, answer = self._send(method, path, body, token)
        if status == 401 or (status == 403 and _says(answer, "Invalid JWT token")):
            status, answer = self._send(method, path, body, self._token(instead_of=token))
        if 200 <= status < 300 or status in (404, 409):
            return status, self._object(status, answer)
        raise self._failure(method, status, answer)

    # --- login ---------------------------------------------------------------------------------------------------
    def _token(self, instead_of: Secret | None = None) -> Secret:
        """The bearer token: from its file as it is, or from a login that all threads share."""
        if self._airflow.token is not None:
            return self._read_secret(self._airflow.token)
        with self._lock:
            if self._refused is not None:
                raise self._refused  # one wrong password, one try: not one for each connection
            if self._jwt is None or self._jwt is instead_of:
                self._jwt = self._login()
            return self._jwt

    def _login(self) -> Secret:
        if self._airflow.username is None or self._airflow.password is None:
            raise Failed(Reason.INVALID, f"{self.name} has no login in the settings")
        password = self._read_secret(self._airflow.password)
        body = {"username": self._airflow.username, "password": password.reveal()}
        status, answer = self._send("POST", "/auth/token", body, None)
        if status in (401, 403):
            who = f"user '{self._airflow.username}' with the password in {describe(self._airflow.password)}"
            self._refused = Failed(Reason.DENIED, f"{self.name} refuses {who}; correct one of them", login_refused=True)
            raise self._refused
        if status == 404:
            raise Failed(
                Reason.INVALID,
                f"{self.name} has no /auth/token; is it Airflow 3, and is the path of the URL right?",
            )
        if not 200 <= status < 300:
            raise self._failure("POST", status, answer)
        token = self._object(status, answer).get("access_token")
        if not isinstance(token, str) or not token:
            raise Failed(Reason.INVALID, f"{self.name} answered a login without a token; is a proxy in between?")
        return logs.hide(Secret(token))

    # --- the wire ------------------------------------------------------------------------------------------------
    def _send(self, method: str, path: str, body: Any, token: Secret | None) -> tuple[int, bytes]:
        import urllib3

        headers = dict(JSON_HEADERS)
        if token is not None:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        try:
            request = self._client.param_serialize(method, path, header_params=headers, body=body)
            answer = self._client.call_api(*request, _request_timeout=(CONNECT_S, READ_S))
            text = answer.response.read(ANSWER_MAX, decode_content=True)
            answer.response.release_conn() if len(text) < ANSWER_MAX else answer.response.close()
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from None
        except OSError as error:
            raise Failed(Reason.TRANSIENT, f"{self.name} can't be reached ({error.strerror or 'I/O error'})") from None
        except Exception as error:  # noqa: BLE001 - the client wraps TLS trouble in its own ApiException
            raise self._unreachable(error) from None
        return answer.status, text

    def _object(self, status: int, text: bytes) -> dict[str, Any]:
        if status in (404, 409):
            return {}
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            page = " but an HTML page: the login page of a proxy?" if text.lstrip()[:1] == b"<" else ""
            raise Failed(
                Reason.INVALID, f"{self.name} did not answer with JSON{page}; check the URL and who stands before it"
            )
        return found

    def _unreachable(self, error: Exception) -> Failed:
        from urllib3 import exceptions

        causes = [error, getattr(error, "reason", None), error.__cause__]
        kinds = {type(cause).__name__ for cause in causes if cause is not None}
        if isinstance(error, exceptions.SSLError) or {"SSLError", "SSLCertVerificationError"} & kinds:
            return Failed(Reason.INVALID, f"{self.name}: TLS failed; if its CA is private, give it as ca_file")
        if isinstance(error, exceptions.NameResolutionError) or "NameResolutionError" in kinds:
            return Failed(Reason.TRANSIENT, f"{self.name}: the host name is not known to DNS")
        if isinstance(error, exceptions.ConnectTimeoutError) or "ConnectTimeoutError" in kinds:
            return Failed(Reason.TRANSIENT, f"{self.name}: no connection within {CONNECT_S:.0f} s")
        if isinstance(error, exceptions.ReadTimeoutError) or "ReadTimeoutError" in kinds:
            return Failed(Reason.TRANSIENT, f"{self.name}: no answer within {READ_S:.0f} s")
        return Failed(Reason.TRANSIENT, f"{self.name}: the connection failed ({type(error).__name__})")

    def _failure(self, method: str, status: int, text: bytes) -> Failed:
        if status == 401:
            return Failed(
                Reason.DENIED, f"{self.name} does not take the login's token; log in anew, or renew token_file"
            )
        if status == 403:
            return Failed(Reason.DENIED, f"{self.name} does not allow {method} of connections; grant {RIGHTS}")
        if status == 429:
            return Failed(Reason.THROTTLED, f"{self.name} asks for fewer requests (429)")
        if status in (400, 422):
            return Failed(Reason.INVALID, f"{self.name} does not accept the connection ({status}): {_fields(text)}")
        if 300 <= status < 400:
            return Failed(
                Reason.INVALID, f"{self.name} answered with a redirect ({status}); give the URL that it leads to"
            )
        if status >= 500:
            return Failed(Reason.TRANSIENT, f"{self.name} answered {status}")
        return Failed(Reason.INVALID, f"{self.name} answered {status} to {method}; check the URL")


def _client(airflow: Airflow) -> Any:
    """The official client's transport. Its import costs 0.75 s of CPU: done here, when it is needed."""
    import urllib3
    from airflow_client.client import ApiClient, Configuration

    parts = urlsplit(airflow.url)
    proxies = getproxies()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        configuration = Configuration(
            host=airflow.url,
            ssl_ca_cert=airflow.ca_file,
            # The client retries by itself and follows redirects unless told not to: both would carry the login along.
            retries=urllib3.Retry(total=False, redirect=False, raise_on_redirect=False, raise_on_status=False),
            # It takes a proxy from here alone, not from the environment.
            proxy=proxies.get(parts.scheme),
            no_proxy=proxies.get("no"),
        )
        client = ApiClient(configuration)
    client.user_agent = "ecr-refresher"
    return client


def _says(text: bytes, what: str) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("detail") == what


def _fields(text: bytes) -> str:
    """The names of the fields that were not accepted; never their values, which may be the password."""
    try:
        detail = json.loads(text)["detail"]
        names = {".".join(str(part) for part in item["loc"] if part != "body") for item in detail}
    except (ValueError, KeyError, TypeError):
        return "it does not say which field"
    return "see the field " + ", ".join(sorted(names))
