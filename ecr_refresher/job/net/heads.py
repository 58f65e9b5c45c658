"""urllib3's connections, but the head of an answer has a largest size: by itself http.client takes 6 MB of headers."""

import io
from http import client
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from ...core import budgets


def bound(pool: PoolManager) -> None:
    """Have this pool's answers fail as broken where their heads are too large. Call it before the first request."""
    pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


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


class _HttpConnection(HTTPConnection):
    response_class = _Response


class _HttpsConnection(HTTPSConnection):
    response_class = _Response


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection
