"""One HTTP request, sent once: through the proxy and with the trust that the environment names, within budgets."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3 import exceptions

from ...core import budgets
from ...core.model import Failed, Reason
from . import trust as trusts
from .proxies import pool_for, proxy_for
from .trust import Trust

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a request may take, in seconds, and how many bytes of its answer are read."""

    connect_s: float
    read_s: float  # without a byte
    total_s: float
    answer_max: int = budgets.ANSWER_MAX
    status_only: bool = False  # the body may be cut off: by its size, its slowness, or a broken connection


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said. The body may hold secrets."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Silent(Failed):
    """The server took the request, and did not answer in time."""


def send(
    method: str,
    url: str,
    trust: Trust,
    limits: Limits,
    *,
    headers: Mapping[str, Any] | None = None,
    body: bytes | str | None = None,
) -> Answer:
    """Send the request, and read the answer whatever its status. No redirect is followed, nothing is tried again.

    Raises Failed (as `Silent` where only the answer did not come) with the host's name in its message, and nothing of
    the request or the answer.
    """
    host = "the server"
    ends_at = time.monotonic() + limits.total_s
    try:
        host = urlsplit(url).hostname or host
        context = trusts.context(trust) if url.lower().startswith("https:") else None
        response = pool_for(url, context).request(
            method,
            url,
            headers=headers,
            body=body,
            timeout=urllib3.Timeout(connect=limits.connect_s, read=limits.read_s),
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        content = read(response, limits, ends_at, host)
    except (exceptions.HTTPError, OSError, ValueError) as error:
        raise _failed(error, url, host, trust) from None
    return Answer(response.status, response.headers, content)


def read(response: urllib3.BaseHTTPResponse, limits: Limits, ends_at: float, host: str) -> bytes:
    """Read the answer's body within the limits, and as it came: unpacked it might be any size. Closes the response.

    Raises Failed, and urllib3's errors where the connection broke.
    """
    try:
        return _read(response, limits, ends_at, host)
    finally:
        if response.connection is not None:  # not read to its end, or it would be back in the pool by itself
            response.close()


def _read(response: urllib3.BaseHTTPResponse, limits: Limits, ends_at: float, host: str) -> bytes:
    content = bytearray()
    try:
        while len(content) <= limits.answer_max and time.monotonic() < ends_at:
            chunk = response.read1(_CHUNK, decode_content=False)
            if not chunk:
                return bytes(content)
            content += chunk
    except (exceptions.HTTPError, OSError):
        if not limits.status_only:
            raise
    if limits.status_only:
        return bytes(content[: limits.answer_max])
    if len(content) > limits.answer_max:
        message = f"{host} sent an answer of more than {limits.answer_max >> 10} KiB"
        raise Failed(Reason.INVALID, message, "Look for a proxy or a test endpoint in between")
    message = f"{host} sent its answer too slowly: it was not complete after {limits.total_s:g} s"
    raise Silent(Reason.TRANSIENT, message, "See the network in between; it is tried again")


def _failed(error: Exception, url: str, host: str, trust: Trust) -> Failed:
    """Name the step that failed. The error's own text may hold URLs and headers, so it is not passed on."""
    match error:
        case exceptions.SSLError():
            return _tls_failed(error, host, trust)
        case exceptions.ProxyError():
            return _proxy_failed(error, url, host)
        case ValueError():  # urllib3's LocationValueError is one
            message = f"the address of {host}, or a header for it, is malformed"
            return Failed(Reason.INVALID, message, "Correct the URL in the settings")
        case exceptions.NameResolutionError():
            fix = "Check the spelling of the host and its region, and this machine's DNS"
            return Failed(Reason.TRANSIENT, f"DNS knows no {host}", fix)
        case exceptions.NewConnectionError():
            why = (getattr(error.__cause__, "strerror", None) or "refused or no route").lower()
        case exceptions.ConnectTimeoutError():
            why = "no answer in time"
        case exceptions.TimeoutError():
            message = f"{host} took the request, and did not answer in time"
            return Silent(Reason.TRANSIENT, message, "See the load of that server, and the network in between")
        case _:
            message = f"the connection to {host} broke ({type(error).__name__})"
            return Failed(Reason.TRANSIENT, message, "See the network in between; it is tried again")
    fix = "Check that it is up, DNS, security groups, VPC endpoints and HTTPS_PROXY"
    return Failed(Reason.TRANSIENT, f"no connection to {host}: {why}", fix)


def _proxy_failed(error: exceptions.ProxyError, url: str, host: str) -> Failed:
    parts = urlsplit(proxy_for(url) or "")
    proxy = f"the proxy {parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    refused = re.search(r"Tunnel connection failed: (\d{3})", str(error.original_error))
    if refused and refused[1] == "407":
        return Failed(Reason.DENIED, f"{proxy} wants another login (407)", "Correct the login in HTTPS_PROXY")
    why = f"answered {refused[1]} to the wish to reach {host}" if refused else "can't be reached"
    return Failed(Reason.TRANSIENT, f"{proxy} {why}", f"Correct HTTPS_PROXY or HTTP_PROXY, or name {host} in NO_PROXY")


def _tls_failed(error: exceptions.SSLError, host: str, trust: Trust) -> Failed:
    cause = error.args[0] if error.args else None
    what = f"TLS with {host} failed"
    if isinstance(cause, ssl.SSLCertVerificationError):
        said = "".join(one if one.isprintable() else "?" for one in cause.verify_message)[:200].rstrip(".")
        fix = "Give its CA as ca_file, or in AWS_CA_BUNDLE; a proxy that opens TLS has a CA of its own"
        if "expired" in said or "not yet valid" in said:
            fix = "Renew that certificate, or set this machine's clock right"
        elif "ismatch" in said:
            fix = "Correct the address, or give the server a certificate for this name"
        message = f"{what}: its certificate is not trusted here ({said}); trusted are {trust}"
        return Failed(Reason.INVALID, message, fix)
    if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        message = f"{what}: the connection was cut in the middle"
        return Failed(Reason.TRANSIENT, message, "See the proxy or load balancer in between")
    name = re.sub(r"\W", "", str(getattr(cause, "reason", None) or type(cause).__name__))
    return Failed(Reason.INVALID, f"{what} ({name})", "Check that https is spoken there, and the address")
