"""One HTTP request, sent once: through the proxy and with the trust that the environment names, within budgets."""

import io
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import client
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from ...core import budgets
from ...core.model import Failed, Reason
from . import wire_errors
from .proxies import pool_for
from .trust import Trust, context

RETRY_AFTER_MAX_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a request may take, in seconds, and how many bytes of its answer are read."""

    connect_s: float
    read_s: float  # without a byte
    total_s: float
    answer_max: int = budgets.ANSWER_MAX
    status_only: bool = False  # the body may be cut off: by its size, its slowness, or a broken connection


def send(
    method: str,
    url: str,
    trust: Trust,
    limits: Limits,
    *,
    headers: Mapping[str, Any] | None = None,
    body: bytes | str | None = None,
) -> urllib3.HTTPResponse:
    """Send the request, and read the answer whatever its status. No redirect is followed, nothing is tried again.

    Raises Failed (as `Silent` where only the answer did not come) with the host's name in its message, and nothing of
    the request or the answer. The answer's `data` may hold secrets.
    """
    host = "the server"
    try:
        host = urlsplit(url).hostname or host
        pool = pool_for(url, context(trust) if url.lower().startswith("https:") else None)
    except (exceptions.HTTPError, OSError, ValueError) as error:
        raise wire_errors.failure(error, url, host, trust, limits.connect_s, limits.read_s) from None
    return Bounded(pool, host, trust, limits).request(
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


class Bounded:
    """In place of a client's `pool_manager`: its answers are within limits, and what goes wrong on the wire is Failed.

    By itself a client reads, and unpacks, an answer of any size, and http.client takes 6 MB of headers.
    """

    def __init__(self, pool: Any, who: str, trust: Trust, limits: Limits) -> None:
        self.pool, self._who, self._trust, self._limits = pool, who, trust, limits
        pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def request(self, method: str, url: str, **how: Any) -> urllib3.HTTPResponse:
        """Send the request; the answer's body is as it came. Raises Failed."""
        limits, ends_at = self._limits, time.monotonic() + self._limits.total_s
        try:
            response = self.pool.request(method, url, **how)
            body = read(response, limits, ends_at, self._who)
        except (exceptions.HTTPError, OSError, ValueError) as error:
            raise wire_errors.failure(error, url, self._who, self._trust, limits.connect_s, limits.read_s) from None
        return urllib3.HTTPResponse(
            io.BytesIO(body), response.headers, response.status, reason=response.reason, decode_content=False
        )


class _Lines(io.BufferedReader):
    """An answer. Its status, headers, sizes of chunks and trailers are read by lines, its body is not."""

    left = budgets.HEAD_MAX

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(self.left + 1 if size is None or size < 0 else min(size, self.left + 1))
        self.left -= len(line)
        if self.left < 0:
            raise client.LineTooLong("the head of an answer")
        return line


class _Response(client.HTTPResponse):
    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self.fp = _Lines(self.fp.detach())


class _HttpPool(HTTPConnectionPool):
    class ConnectionCls(HTTPConnection):
        response_class = _Response


class _HttpsPool(HTTPSConnectionPool):
    class ConnectionCls(HTTPSConnection):
        response_class = _Response


def read(response: urllib3.BaseHTTPResponse, limits: Limits, ends_at: float, host: str) -> bytes:
    """Read the answer's body within the limits, and as it came: unpacked it might be any size. Closes the response.

    Raises Failed, and urllib3's errors where the connection broke.
    """
    content = bytearray()
    try:
        while len(content) <= limits.answer_max and time.monotonic() < ends_at:
            chunk = response.read1(1 << 16, decode_content=False)
            if not chunk:
                return bytes(content)
            content += chunk
    except (exceptions.HTTPError, OSError):
        if not limits.status_only:
            raise
    finally:
        if response.connection is not None:  # not read to its end, or it would be back in the pool by itself
            response.close()
    if limits.status_only:
        return bytes(content[: limits.answer_max])
    if len(content) > limits.answer_max:
        message = f"{host} sent an answer of more than {limits.answer_max >> 10} KiB"
        raise Failed(Reason.INVALID, message, "Look for a proxy or a test endpoint in between")
    message = f"{host} sent its answer too slowly: it was not complete after {limits.total_s:g} s"
    raise wire_errors.Silent(Reason.TRANSIENT, message, "See the network in between; it is tried again")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """For how many seconds `Retry-After`, a number or a date, asks for no more requests. Names are in small letters."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), RETRY_AFTER_MAX_S)
    now = moment(headers.get("date", "")) or time.time()  # the server's own clock, where it tells it
    at = moment(text)
    return None if at is None else min(max(0.0, at - now), RETRY_AFTER_MAX_S)


def moment(date: str) -> float | None:
    """A date of a header, in seconds since the epoch."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
