"""What comes and goes over one connection, without ever waiting: plain, or through TLS.

The standard library's TLS is loaded only where it is wanted: it is 4 MB.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


class Waits(Exception):
    """Nothing more can be done before the connection is readable, or writable."""

    def __init__(self, *, writable: bool) -> None:
        self.writable = writable


class Plain:
    """A TCP connection. Errors of the connection are raised as OSError."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock

    def shake_hands(self) -> None:
        """Do what has to be done before anything else. Raises Waits."""

    def receive(self, at_most: int) -> bytes:
        """What has come; nothing at its end. Raises Waits."""
        try:
            return self.sock.recv(at_most)
        except (BlockingIOError, InterruptedError):
            raise Waits(writable=False) from None

    def send(self, content: memoryview) -> int:
        """Send some of it; gives how much. Raises Waits."""
        try:
            return self.sock.send(content)
        except (BlockingIOError, InterruptedError):
            raise Waits(writable=True) from None

    def close(self) -> None:
        self.sock.close()


class Tls(Plain):
    """The same through TLS; each of its acts may have to wait for either direction."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        sock.setblocking(False)
        self._tls = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self.sock = self._tls

    def shake_hands(self) -> None:
        with _told():
            self._tls.do_handshake()

    def receive(self, at_most: int) -> bytes:
        with _told():
            return self._tls.recv(at_most)

    def send(self, content: memoryview) -> int:
        with _told():
            return self._tls.send(content)

    def close(self) -> None:
        with suppress(OSError, ValueError):
            self._tls.unwrap()  # says farewell; nobody waits for the other side's
        self._tls.close()


class _told:  # noqa: N801 - used as a statement
    """Raises what TLS has to wait for as Waits."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        import ssl

        if isinstance(error, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            raise Waits(writable=isinstance(error, ssl.SSLWantWriteError)) from None
