"""Passes one request on to another server and its answer back, in pieces, never a whole body at once."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

from .serving import PIECE, Exchange, Reply

TIMEOUT_S = 300.0  # a registry may take its time to put a large layer together

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
OURS = frozenset({"authorization", "expect", "x-forwarded-proto"})  # what the front has dealt with itself


def relay(exchange: Exchange, upstream: str, scheme: str) -> None:
    """Have `upstream` (its URL) answer the request; `scheme` is the one that the client speaks to us.

    An upstream that can't be reached is 502; one that breaks off cuts the client's connection too, so that half a
    layer can't pass for a whole one.
    """
    target = urlsplit(upstream)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=TIMEOUT_S)
    try:
        try:
            connection.connect()
        except OSError as error:
            message = f"the upstream registry can't be reached: {error.strerror}"
            exchange.send(Reply(502, json.dumps({"errors": [{"code": "UNAVAILABLE", "message": message}]}).encode()))
            return
        with exchange.hanging_up_too(connection.sock):
            _send_request(exchange, connection, scheme)
            with connection.getresponse() as response:
                _send_response(exchange, response, target.netloc, scheme)
    except (http.client.HTTPException, OSError):
        exchange.cut()
    finally:
        connection.close()


def _send_request(exchange: Exchange, connection: http.client.HTTPConnection, scheme: str) -> None:
    chunked = "chunked" in exchange.headers.get("Transfer-Encoding", "").lower()
    connection.putrequest(exchange.command, exchange.path, skip_host=True, skip_accept_encoding=True)
    for name, value in exchange.headers.items():
        if name.lower() not in HOP_BY_HOP | OURS:
            connection.putheader(name, value)
    connection.putheader("X-Forwarded-Proto", scheme)  # the registry builds its Location headers from this and Host
    if chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    try:
        for piece in _chunks(exchange.pieces()) if chunked else exchange.pieces():
            connection.send(piece)
    except (BrokenPipeError, ConnectionResetError):
        exchange.close_connection = True  # the upstream has answered before the body's end; its answer still counts


def _send_response(exchange: Exchange, response: http.client.HTTPResponse, netloc: str, scheme: str) -> None:
    exchange.send_response_only(response.status, response.reason)
    for name, value in response.getheaders():
        if name.lower() == "location":
            exchange.send_header(name, _at_the_front(value, netloc, f"{scheme}://{exchange.headers.get('Host', '')}"))
        elif name.lower() not in HOP_BY_HOP:
            exchange.send_header(name, value)
    has_body = exchange.command != "HEAD" and response.status not in (204, 304)
    chunked = has_body and response.length is None
    if chunked:
        exchange.send_header("Transfer-Encoding", "chunked")
    exchange.end_headers()
    if not has_body:
        return
    expected, sent = response.length, 0
    pieces = iter(lambda: response.read(PIECE), b"")
    for piece in _chunks(pieces) if chunked else pieces:
        exchange.wfile.write(piece)
        sent += len(piece)
    if expected is not None and sent < expected:
        exchange.cut()


def _chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _at_the_front(location: str, netloc: str, front: str) -> str:
    """Turn the upstream's own absolute address into ours, so that the client keeps talking to the front."""
    parts = urlsplit(location)
    if parts.netloc != netloc:
        return location
    return front + parts._replace(scheme="", netloc="").geturl()
