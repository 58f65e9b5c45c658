"""Requests to one server over the official client's transport, each sent once, and what goes wrong on the wire."""

import math
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from urllib.parse import urljoin, urlsplit

import urllib3

from .... import __version__
from ....core import budgets
from ....core.model import Failed, Reason, Secret
from ....core.plan import Airflow
from ....core.printable import printable
from ...files.secrets import ReadSecret, describe
from ...net import http
from ...net import trust as trusts
from ...net.proxies import login_headers, origin, proxy_for
from . import answers
from .answers import Answer, Body
from .client_parts import Configuration, RESTClientObject
from .pace import Pace

ANSWER_MAX = budgets.AIRFLOW_ANSWER_MAX
# To connect, and to wait for an answer: an Airflow that takes seconds for each is served; `refresh.deadline` bounds the
# pass.
TIMEOUT_S = (3.05, 20.0)
REDIRECTS_MAX = 3
Form = Mapping[str, str] | None  # of a request, in place of a body


class Transport:
    """The way to one server; thread-safe, and without a login of its own."""

    def __init__(
        self, who: str, url: str, airflow: Airflow, read_secret: ReadSecret, timeout_s: tuple[float, float] = TIMEOUT_S
    ) -> None:
        """`airflow` says whom to trust, what to show (client certificate) and to send (headers)."""
        self.who, self._base = who, url
        self._trust = trusts.trust_for(airflow.ca_file)
        if airflow.client_cert is not None:
            self._trust = replace(self._trust, shown=(airflow.client_cert, airflow.client_key))
            trusts.show(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), airflow.client_cert, airflow.client_key)
        self._wanted_headers, self._read_secret = airflow.headers, read_secret
        self._pace = Pace()
        self._timeout_s = timeout_s  # without it the client waits for ever
        # total=False: never tried again (not after Retry-After either), redirects given back instead of followed,
        # errors raised as they are. The client's own default is urllib3's: three more tries.
        configuration = Configuration(host=url, ssl_ca_cert=self._trust.file, retries=urllib3.Retry(total=False))
        configuration.cert_file, configuration.key_file = airflow.client_cert, airflow.client_key
        # Set, not passed: the client's versions differ in reading the environment.
        configuration.proxy = proxy = proxy_for(url)
        configuration.proxy_headers = login_headers(proxy) if proxy else None
        self._client = RESTClientObject(configuration)
        limits = http.Limits(*timeout_s, total_s=math.inf, answer_max=ANSWER_MAX)
        self._client.pool_manager = http.Bounded(self._client.pool_manager, who, self._trust, limits)

    def request(
        self, method: str, path: str, body: Body = None, *, form: Form = None, authorization: Secret | None = None
    ) -> Answer:
        """Send one request, once, and read its answer whatever the status. Raises Failed where none came."""
        return self._send(method, self._base + path, body, form, authorization)

    def find(self, path: str, authorization: Secret | None) -> Answer:
        """GET the path of a version, and follow the redirects that keep the server; later requests go that way too."""
        url = self._base + path
        for _ in range(REDIRECTS_MAX):
            answer = self._send("GET", url, None, None, authorization)
            if answer.target is None or not _same_server(url, answer.target):
                break
            url = answer.target
        if answer.done and url.rstrip("/").endswith(path):
            self._base = url.rstrip("/").removesuffix(path)
        return answer

    def _send(self, method: str, url: str, body: Body, form: Form, authorization: Secret | None) -> Answer:
        headers = {**self._own_headers, "Accept": "application/json", "User-Agent": f"ecr-refresher/{__version__}"}
        if body is not None or form is not None:
            headers["Content-Type"] = "application/json" if form is None else "application/x-www-form-urlencoded"
        if authorization is not None:
            headers["Authorization"] = authorization.reveal()
        self._pace.wait(self.who)
        response = self._client.request(
            method, url, headers=headers, body=body, post_params=form, _request_timeout=self._timeout_s
        ).response
        raw = _unpacked(response.data, response.headers.get("Content-Encoding", ""))
        if len(raw) > ANSWER_MAX:
            message = f"{self.who} sent an answer of more than {ANSWER_MAX >> 10} KiB"
            raise Failed(Reason.INVALID, message, "Check that url is an Airflow's")
        location = response.get_redirect_location()
        target = urljoin(url, location) if location else None
        retry_after_s = http.retry_after_s(response.headers)
        if retry_after_s is not None and response.status in (429, 503):
            self._pace.rest(retry_after_s, Reason.THROTTLED if response.status == 429 else Reason.TRANSIENT)
        return Answer(
            response.status,
            answers.read(raw, response.status),
            page="html" in response.headers.get("Content-Type", "").lower() or raw.lstrip()[:1] == b"<",
            target=target,
            redirects_to=None if target is None else _shown(url, target),
            retry_after_s=retry_after_s,
            wants_basic=response.headers.get("WWW-Authenticate", "").lower().startswith("basic"),
        )

    @cached_property
    def _own_headers(self) -> dict[str, str]:
        """The headers of the settings, read once for each pass. Raises Failed where one can't be had."""
        headers = {}
        for header in self._wanted_headers:
            text, place = self._read_secret(header.value).reveal(), describe(header.value)
            if not all(" " <= character <= "~" for character in text) or text != text.strip():
                what = f"{self.who}: the header {header.name} in {place}"
                message = f"{what} has line ends, characters beyond ASCII, or blanks at its ends"
                raise Failed(Reason.INVALID, message, f"Correct {place}")
            headers[header.name] = text
        return headers


def bare(url: str) -> str:
    """A URL as messages show it: without a login in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")


def _unpacked(raw: bytes, encoding: str) -> bytes:
    """What a server packed unasked, cut off behind the largest answer: urllib3 before 2.6 unpacks to any size."""
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return raw
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(raw, ANSWER_MAX + 1)  # 32: whichever of both it is
    except zlib.error:
        return b""


def _same_server(url: str, target: str) -> bool:
    """True where a redirect keeps scheme, host and port, or goes to https of the same host."""
    old, new = urlsplit(url), urlsplit(target)
    upgraded = (old.scheme, new.scheme) == ("http", "https") and old.hostname == new.hostname
    return upgraded or (old.scheme, old.netloc) == (new.scheme, new.netloc)


def _shown(url: str, target: str) -> str:
    """A target as messages show it: whole on the same server, else its origin; never its query."""
    path = printable(urlsplit(target).path) if _same_server(url, target) else ""
    return f"{origin(target)}{path}"[:300]
