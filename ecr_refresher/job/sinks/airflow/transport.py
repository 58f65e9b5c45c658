"""Requests to one server over the official client's transport, each sent once, and what goes wrong on the wire."""

from __future__ import annotations

import contextlib
import email.utils
import json
import os
import ssl
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import urllib3
from urllib3 import exceptions

from .... import __version__
from ....core.model import Failed, Reason, Secret
from ....core.plan import Header, SecretRef
from ....core.printable import printable
from ...files.secrets import describe
from ...net.proxies import proxy_for
from ...net.trust import trust_for
from . import client_parts
from .answers import Answer
from .pace import Pace

USER_AGENT = f"ecr-refresher/{__version__}"
ANSWER_MAX = 1 << 20  # bytes; a connection with a long description and extra has some thousands
CONNECT_S = 3.05
READ_S = 20.0  # an Airflow that takes seconds for each answer is served; `refresh.deadline` bounds the pass
REDIRECTS_MAX = 3
RETRY_AFTER_MAX_S = 86_400.0
# Of TLS alerts that a server sends for a client's certificate, or for none.
_ALERTS_ON_CERTIFICATES = ("CERTIFICATE_REQUIRED", "ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE_")


class Transport:
    """The way to one server; thread-safe, and without a login of its own.

    The client is loaded here, not at the top: only a pass pays for it.
    """

    def __init__(
        self,
        who: str,
        url: str,
        read_secret: Callable[[SecretRef], Secret],
        *,
        ca_file: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
        headers: tuple[Header, ...] = (),
        pace: Pace | None = None,
        connect_s: float = CONNECT_S,
        read_s: float = READ_S,
    ) -> None:
        self.who = who
        self._url = url
        self._parts = client_parts.load()
        self._client_cert = client_cert
        trust = trust_for(ca_file)
        if client_cert is not None:
            _check_pair(who, client_cert, client_key)
        self._wanted_headers = headers
        self._read_secret = read_secret
        self._headers: dict[str, str] | None = None
        self._pace = pace or Pace()
        self._timeout = (connect_s, read_s)  # without it the client waits for ever
        # total=False: never tried again (not after Retry-After either), redirects given back instead of followed,
        # errors raised as they are. The client's own default is urllib3's: three more tries.
        once = urllib3.Retry(total=False)
        configuration = self._parts.configuration(host=url.rstrip("/"), ssl_ca_cert=trust.file, retries=once)
        configuration.cert_file, configuration.key_file = client_cert, client_key
        self._proxy = proxy_for(url)
        configuration.proxy = self._proxy  # set, not passed: the client's versions differ in reading the environment
        if self._proxy and (login := urlsplit(self._proxy).netloc.rpartition("@")[0]):
            configuration.proxy_headers = urllib3.make_headers(proxy_basic_auth=unquote(login))
        self._base = configuration.host
        self._client = self._parts.rest_client(configuration)

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, authorization: Secret | None = None
    ) -> Answer:
        """Send one request, once, and read its answer whatever the status. Raises Failed where none came."""
        answer, _ = self._send(method, self._base + path, body, authorization)
        return answer

    def submit(self, form: Mapping[str, str], *, authorization: Secret | None = None) -> Answer:
        """POST a form to the server's URL itself. Raises Failed where no answer came."""
        answer, _ = self._send("POST", self._url, None, authorization, form)
        return answer

    def find(self, path: str, authorization: Secret | None) -> Answer:
        """GET the path of a version, and follow the redirects that keep the server; later requests go that way too."""
        url = self._base + path
        for _ in range(REDIRECTS_MAX):
            answer, target = self._send("GET", url, None, authorization)
            if target is None or not _same_server(url, target):
                break
            url = target
        if answer.done and url.rstrip("/").endswith(path):
            self._base = url.rstrip("/").removesuffix(path)
        return answer

    def _send(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None,
        authorization: Secret | None,
        form: Mapping[str, str] | None = None,
    ) -> tuple[Answer, str | None]:
        """The answer, and the whole URL that it redirects to."""
        headers = {**self._own_headers(), "Accept": "application/json", "User-Agent": USER_AGENT}
        if body is not None or form is not None:
            headers["Content-Type"] = "application/json" if form is None else "application/x-www-form-urlencoded"
        if authorization is not None:
            headers["Authorization"] = authorization.reveal()
        self._pace.wait(self.who)
        with self._named_errors(url):
            response = self._client.request(  # type: ignore[no-untyped-call]
                method, url, headers=headers, body=body, post_params=form, _request_timeout=self._timeout
            ).response
            try:
                raw = response.read(ANSWER_MAX + 1, decode_content=True)
            finally:
                if response.connection is not None:  # not read to its end, or it would be back in the pool by itself
                    response.close()
        if len(raw) > ANSWER_MAX:
            message = f"{self.who} answered with more than {ANSWER_MAX >> 20} MiB"
            raise Failed(Reason.INVALID, message, "Check that url is an Airflow's")
        location = response.get_redirect_location()
        target = urljoin(url, location) if location else None
        retry_after_s = _retry_after_s(response.headers)
        if retry_after_s is not None and response.status in (429, 503):
            self._pace.rest(retry_after_s, Reason.THROTTLED if response.status == 429 else Reason.TRANSIENT)
        answer = Answer(
            response.status,
            _json(raw),
            page="html" in response.headers.get("Content-Type", "").lower() or raw.lstrip()[:1] == b"<",
            redirects_to=None if target is None else _shown(url, target),
            retry_after_s=retry_after_s,
            wants_basic=response.headers.get("WWW-Authenticate", "").lower().startswith("basic"),
        )
        return answer, target

    def _own_headers(self) -> dict[str, str]:
        """The headers of the settings, read once for each pass. Raises Failed where one can't be had."""
        if self._headers is None:  # two threads may read them at once, and read the same
            self._headers = {header.name: self._header(header) for header in self._wanted_headers}
        return self._headers

    def _header(self, header: Header) -> str:
        text = self._read_secret(header.value).reveal()
        if not all(" " <= character <= "~" for character in text) or text != text.strip():
            words = f"the header {header.name} in {describe(header.value)} has line ends, characters beyond ASCII, or"
            raise Failed(Reason.INVALID, f"{self.who}: {words} blanks at its ends", f"Correct {describe(header.value)}")
        return text

    @contextlib.contextmanager
    def _named_errors(self, url: str) -> Iterator[None]:
        """Raise the errors of the wire as ours. Their own texts may hold URLs and headers: none is passed on."""
        try:
            yield
        except self._parts.api_exception as error:  # how the client wraps TLS trouble, and nothing else here
            cause = error.__context__
            raise self._tls(cause.args[0] if cause is not None and cause.args else None) from None
        except exceptions.SSLError as error:
            raise self._tls(error.args[0] if error.args else None) from None
        except ValueError:
            if not _is_url(url):
                raise Failed(Reason.INVALID, f"{self.who}: that is not a URL", "Correct url") from None
            message = f"{self.who} redirects, and its Location header is not a URL"  # urllib3 has looked at it
            raise Failed(Reason.INVALID, message, "Correct url, or the proxy that redirects") from None
        except (exceptions.HTTPError, OSError) as error:
            raise Failed(Reason.TRANSIENT, *self._trouble(error)) from None

    def _trouble(self, error: Exception) -> tuple[str, str]:
        connect_s, read_s = self._timeout
        unreachable = f"{self.who} can't be reached"
        match error:
            case exceptions.ProxyError():
                proxy = _origin(self._proxy) if self._proxy else "the proxy"
                fix = "Correct HTTP_PROXY, HTTPS_PROXY or NO_PROXY, or repair the proxy"
                return f"{unreachable} through {proxy}", fix
            case exceptions.NameResolutionError():
                return f"{unreachable}: DNS does not know its host name", "Correct url, or the DNS of this host"
            case exceptions.NewConnectionError() if isinstance(error.__cause__, ConnectionRefusedError):
                return f"{unreachable}: connection refused", "Start Airflow's API server, or correct url"
            case exceptions.NewConnectionError():
                strerror = getattr(error.__cause__, "strerror", None) or "no connection"
                return f"{unreachable}: {strerror}", "Check the network between this host and Airflow"
            case exceptions.ConnectTimeoutError():
                fix = "Check the firewalls and routes between this host and Airflow"
                return f"{unreachable}: no connection within {connect_s:g} s", fix
            case exceptions.TimeoutError():
                return f"{self.who} did not answer within {read_s:g} s", "Look into the load of Airflow's API server"
            case exceptions.DecodeError():
                return f"{self.who} sent an answer that can't be unpacked", "Look into the proxy in front of it"
            case _:
                message = f"{self.who} cut the connection before its answer was complete"
                return message, "Look into the log of Airflow's API server, or of the proxy in front of it"

    def _tls(self, cause: object) -> Failed:
        if isinstance(cause, ssl.SSLCertVerificationError):
            message = f"{self.who}: its certificate is not trusted: {printable(cause.verify_message).rstrip('.')}"
            return Failed(Reason.INVALID, message, "Give its CA as ca_file, or renew the certificate")
        if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            message = f"{self.who} cut the connection in the middle of TLS"
            return Failed(Reason.TRANSIENT, message, "Look into the proxy or load balancer in front of Airflow")
        name = str(getattr(cause, "reason", None) or type(cause).__name__)
        if any(alert in name for alert in _ALERTS_ON_CERTIFICATES):
            message = f"{self.who} wants a client certificate that it trusts ({name})"
            fix = "Give client_cert and client_key" if self._client_cert is None else "Renew or correct client_cert"
            return Failed(Reason.DENIED, message, fix)
        fix = "Check that https is spoken there; correct url or ca_file"
        if "HANDSHAKE_FAILURE" in name and self._client_cert is None:
            fix = "Give client_cert and client_key if it wants a client certificate; else compare versions and ciphers"
        return Failed(Reason.INVALID, f"{self.who}: TLS failed ({name})", fix)


def _check_pair(who: str, cert: str, key: str | None) -> None:
    """Raise Failed where no client certificate can be had from these files. They are opened again for each connection.

    A key with a passphrase is refused: OpenSSL would ask for it on the terminal.
    """
    try:
        for file in (cert, key or cert):
            if not stat.S_ISREG(os.stat(file).st_mode):
                raise Failed(
                    Reason.INVALID, f"{who}: {file} is not a regular file", "Correct client_cert or client_key"
                )
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert, key, password=lambda: "")
    except ssl.SSLError:
        message = f"{who}: {cert} and {key or 'the key in it'} are no certificate with its unencrypted key"
        raise Failed(Reason.INVALID, message, "Correct client_cert or client_key (PEM)") from None
    except OSError as error:
        message = f"{who}: {error.filename or cert} can't be read: {error.strerror}"
        raise Failed(Reason.MISSING, message, "Mount the file, or correct client_cert or client_key") from None


def bare(url: str) -> str:
    """A URL as messages show it: without a login in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")


def _is_url(url: str) -> bool:
    try:
        return bool(urllib3.util.parse_url(url).host)
    except ValueError:
        return False


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """What `Retry-After` says, as seconds or as a date."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), RETRY_AFTER_MAX_S)
    if not text:
        return None
    now = _date(headers.get("Date", "")) or time.time()  # the server's own clock, where it tells it
    at = _date(text)
    return None if at is None else min(max(0.0, at - now), RETRY_AFTER_MAX_S)


def _date(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _same_server(url: str, target: str) -> bool:
    """True where a redirect keeps scheme, host and port, or goes to https of the same host."""
    old, new = urlsplit(url), urlsplit(target)
    upgraded = (old.scheme, new.scheme) == ("http", "https") and old.hostname == new.hostname
    return upgraded or (old.scheme, old.netloc) == (new.scheme, new.netloc)


def _shown(url: str, target: str) -> str:
    """A target as messages show it: whole on the same server, else its origin; never its query."""
    if not _same_server(url, target):
        return _origin(target)
    return printable(_origin(target) + urlsplit(target).path)[:300]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")[:300]
