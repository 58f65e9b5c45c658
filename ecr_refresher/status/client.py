"""One HTTP request to the daemon. It uses a socket: loading http.client would double the CPU time of a health check."""

import contextlib
import socket
import time

from .address import Address, BadAddress, StatusError

TIMEOUT_S = 10.0  # for all of it
ANSWER_MAX = 16 << 20  # bytes; 1,000 slots take 1 MB


def get(address: Address, path: str, *expected: int) -> tuple[int, bytes]:
    """GET a path; returns the HTTP status, one of those expected, and the body. Raises StatusError."""
    try:
        head, _, body = _exchange(address, path).partition(b"\r\n\r\n")
    except ConnectionRefusedError:
        fix = "Start the daemon, or name its address with --url or ECR_REFRESHER_LISTEN"
        raise StatusError(f"nothing listens at {address.url}", fix) from None
    except TimeoutError:
        fix = "Read the daemon's log" + (", or ask with http" if address.scheme == "https" else "")
        raise StatusError(f"{address.url} gave no whole answer within {TIMEOUT_S:.0f} s", fix) from None
    except UnicodeError:  # of the codec for names of hosts
        message = f"{address.host} is not the name of a host"
        raise BadAddress(message, "Correct --url or ECR_REFRESHER_LISTEN") from None
    except OSError as error:
        message, fix = _explain(error, address)
        raise StatusError(f"{address.url}: {message}", fix) from None
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        fix = "Check the address" + (", or ask with https" if address.scheme == "http" else "")
        raise StatusError(f"{address.url} does not speak HTTP", fix)
    if int(words[1]) not in expected:
        raise StatusError(f"{address.url} answered {int(words[1])}, as no ecr-refresher does", "Check the address")
    return int(words[1]), body


def _exchange(address: Address, path: str) -> bytes:
    context = address.trust() if address.scheme == "https" else None
    ends_at = time.monotonic() + TIMEOUT_S
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection((address.host, address.port), TIMEOUT_S))
        if context is not None:
            connection = stack.enter_context(context.wrap_socket(connection, server_hostname=address.host))
        # With HTTP/1.0 the answer ends with the connection.
        connection.sendall(f"GET {address.prefix}{path} HTTP/1.0\r\nHost: {address.authority}\r\n\r\n".encode())
        answer = bytearray()
        while piece := connection.recv(65536):
            answer += piece
            if len(answer) > ANSWER_MAX:
                raise StatusError(f"{address.url} sends too much for an ecr-refresher", "Check the address")
            if (left := ends_at - time.monotonic()) <= 0:
                raise TimeoutError
            connection.settimeout(left)
    return bytes(answer)


def _explain(error: OSError, address: Address) -> tuple[str, str]:
    """What failed, and the fix."""
    if address.scheme == "https":
        import ssl

        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {error.verify_message}", "Name its CA with --ca"
        if isinstance(error, ssl.SSLError | ConnectionResetError):
            return "it does not speak TLS", "Ask with http"
    return error.strerror or type(error).__name__, "Check the address"
