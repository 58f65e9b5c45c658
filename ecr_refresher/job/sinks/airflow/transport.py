"""Requests to one Airflow over the official client's own transport, each sent once, and what goes wrong on the wire."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import urllib3
from urllib3 import exceptions

from .... import __version__
from ....core.model import Failed, Reason, Secret
from ....core.plan import Airflow, Header, SecretRef
from ...files.secrets import describe
from ...net.proxies import proxy_for
from . import library as airflow_library
from .answers import Answer

USER_AGENT = f"ecr-refresher/{__version__}"
ANSWER_MAX = 1 << 20  # bytes; a connection with a long description and extra has some thousands


class Transport:
    """The way to one Airflow; thread-safe, and without a login of its own.

    The client is loaded here, not at the top: that costs 0.2 s of CPU, which only a pass should pay.
    """

    def __init__(
        self,
        airflow: Airflow,
        connect_timeout_s: float,
        read_timeout_s: float,
        read_secret: Callable[[SecretRef], Secret],
    ) -> None:
        RESTClientObject, Configuration = airflow_library.load()  # noqa: N806 - classes
        self.who = f"Airflow '{airflow.name}' at {_without_login(airflow.url)}"
        self._ca_file = airflow.ca_file
        self._wanted_headers = airflow.headers
        self._read_secret = read_secret
        self._headers: dict[str, str] | None = None
        self._lock = threading.Lock()
        self._timeout = (connect_timeout_s, read_timeout_s)  # without it the client waits for ever
        # total=False: never tried again (not after Retry-After either), redirects given back instead of followed,
        # errors raised as they are. The client's own default is urllib3's: three more tries.
        once = urllib3.Retry(total=False)
        configuration = Configuration(host=airflow.url.rstrip("/"), ssl_ca_cert=airflow.ca_file, retries=once)
        self._proxy = proxy_for(airflow.url)
        configuration.proxy = self._proxy  # set, not passed: the client's versions differ in reading the environment
        if self._proxy and (login := urlsplit(self._proxy).netloc.rpartition("@")[0]):
            configuration.proxy_headers = urllib3.make_headers(proxy_basic_auth=unquote(login))
        self._host = configuration.host
        self._client = RESTClientObject(configuration)

    def request(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, authorization: Secret | None = None
    ) -> Answer:
        """Send one request, once, and read its answer whatever the status. Raises Failed where none came."""
        headers = {**self._proxys_headers(), "Accept": "application/json", "User-Agent": USER_AGENT}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if authorization is not None:
            headers["Authorization"] = authorization.reveal()
        with self._named_errors():
            response = self._client.request(  # type: ignore[no-untyped-call]
                method, self._host + path, headers=headers, body=body, _request_timeout=self._timeout
            ).response
            try:
                raw = response.read(ANSWER_MAX + 1, decode_content=True)
            finally:
                if response.connection is not None:  # not read to its end, or it would be back in the pool by itself
                    response.close()
        if len(raw) > ANSWER_MAX:
            raise Failed(Reason.INVALID, f"{self.who} answered with more than 1 MiB; is that url an Airflow's?")
        location = response.get_redirect_location()
        return Answer(
            response.status,
            _json(raw),
            page="html" in response.headers.get("Content-Type", "").lower() or raw.lstrip()[:1] == b"<",
            redirects_to=_origin(urljoin(self._host + path, location)) if location else None,
        )

    def _proxys_headers(self) -> dict[str, str]:
        """The headers of the settings, read once for each pass. Raises Failed where one can't be had."""
        with self._lock:
            if self._headers is None:
                self._headers = {header.name: self._header(header) for header in self._wanted_headers}
            return self._headers

    def _header(self, header: Header) -> str:
        text = self._read_secret(header.value).reveal()
        if not all(" " <= character <= "~" for character in text) or text != text.strip():
            words = f"the header {header.name} in {describe(header.value)} has line ends, characters beyond ASCII, or"
            raise Failed(Reason.INVALID, f"{self.who}: {words} blanks at its ends; correct it")
        return text

    def close(self) -> None:
        """Close the connections that wait for further use."""
        self._client.pool_manager.clear()

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Turn the errors of the wire into ours. Their own texts may hold URLs and headers: none is passed on."""
        from airflow_client.client.exceptions import ApiException

        try:
            yield
        except ApiException as error:  # how the client wraps TLS trouble, and nothing else here
            cause = error.__context__
            raise self._tls(cause.args[0] if cause is not None and cause.args else None) from None
        except exceptions.SSLError as error:
            raise self._tls(error.args[0] if error.args else None) from None
        except exceptions.LocationValueError:
            raise Failed(Reason.INVALID, f"{self.who}: that url is none; correct it") from None
        except (exceptions.HTTPError, OSError) as error:
            raise Failed(Reason.TRANSIENT, f"{self.who} {self._trouble(error)}") from None

    def _trouble(self, error: Exception) -> str:
        connect_s, read_s = self._timeout
        match error:
            case exceptions.ProxyError():
                proxy = _origin(self._proxy) if self._proxy else "the proxy"
                return f"can't be reached through {proxy}; correct HTTP_PROXY, HTTPS_PROXY or NO_PROXY, or the proxy"
            case exceptions.NameResolutionError():
                return "can't be reached: DNS does not know its host name"
            case exceptions.NewConnectionError() if isinstance(error.__cause__, ConnectionRefusedError):
                return "can't be reached: connection refused; is it up?"
            case exceptions.NewConnectionError():
                return f"can't be reached: {getattr(error.__cause__, 'strerror', None) or 'no connection'}"
            case exceptions.ConnectTimeoutError():
                return f"can't be reached: no connection within {connect_s:g} s"
            case exceptions.TimeoutError():
                return f"did not answer within {read_s:g} s"
            case exceptions.DecodeError():
                return "sent an answer that can't be unpacked"
            case _:
                return "cut the connection before its answer was complete"

    def _tls(self, cause: object) -> Failed:
        if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) and self._ca_file:
            words = f"the CA file {self._ca_file} can't be read ({cause.strerror}); correct ca_file"
            return Failed(Reason.MISSING, f"{self.who}: {words}")
        if isinstance(cause, ssl.SSLCertVerificationError):
            mend = "give its CA as ca_file, or renew the certificate"
            return Failed(Reason.INVALID, f"{self.who}: its certificate is no good: {cause.verify_message}; {mend}")
        if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return Failed(Reason.TRANSIENT, f"{self.who} cut the connection in the middle of TLS")
        name = getattr(cause, "reason", None) or type(cause).__name__
        return Failed(
            Reason.INVALID, f"{self.who}: TLS failed ({name}); does it speak https there? Correct url or ca_file"
        )


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")


def _origin(url: str) -> str:
    """Scheme, host and port: all of an address that may be shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
