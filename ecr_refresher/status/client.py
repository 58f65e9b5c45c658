"""One question to the daemon's server. A bare socket: http.client alone would double what `status` costs."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .address import Address

TIMEOUT_S = 5.0  # for each step: connect, ask, one piece of the answer
ANSWER_MAX = 64 << 20


class Unanswered(Exception):
    """The daemon gave no answer; the text says what happened, where, and how to mend it."""


def get(address: Address, path: str) -> tuple[int, bytes]:
    """GET a path; gives the HTTP status and the body. Raises Unanswered."""
    try:
        return _parse(_exchange(address, path), address)
    except ConnectionRefusedError:
        mend = "start the daemon, or say where it is with --url or ECR_REFRESHER_LISTEN"
        raise Unanswered(f"nothing listens at {address.url}; {mend}") from None
    except TimeoutError:
        mend = "look at the daemon's log" + ("" if address.trust is None else "; or is it http?")
        raise Unanswered(f"{address.url} does not answer within {TIMEOUT_S:.0f} s; {mend}") from None
    except OSError as error:
        said = _said(error) if address.trust is None else _said_of_tls(error)
        raise Unanswered(f"{address.url}: {said}") from None


def _exchange(address: Address, path: str) -> bytes:
    context = None if address.trust is None else address.trust.context()
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection((address.host, address.port), TIMEOUT_S))
        if context is not None:
            connection = stack.enter_context(context.wrap_socket(connection, server_hostname=address.host))
        # HTTP/1.0: the end of the answer is the end of the connection.
        connection.sendall(f"GET {address.prefix}{path} HTTP/1.0\r\nHost: {address.authority}\r\n\r\n".encode())
        answer = bytearray()
        while piece := connection.recv(65536):
            answer += piece
            if len(answer) > ANSWER_MAX:
                raise Unanswered(f"{address.url} answers without end; it is no ecr-refresher, check the address")
    return bytes(answer)


def _parse(answer: bytes, address: Address) -> tuple[int, bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        mend = "is it another program, or is it https?" if address.trust is None else "check the address"
        raise Unanswered(f"{address.url} does not speak HTTP; {mend}")
    return int(words[1]), body


def _said(error: OSError) -> str:
    return f"{error.strerror or type(error).__name__}; check the address"


def _said_of_tls(error: OSError) -> str:
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}; name its CA with --ca"
    if isinstance(error, ssl.SSLError | ConnectionResetError):
        return "there is no TLS; is it http?"
    return _said(error)
