"""Where the daemon listens: the sockets of an address, and the certificate that they show."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

from ... import logs
from ...core.model import witness_of

if TYPE_CHECKING:
    import ssl

QUEUE = 64  # connections that wait to be taken
_NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}  # IPv6 where it is switched off


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at every address of a host; of every interface, where it is empty. Raises OSError."""
    # As bytes: for a text Python loads its tables of international names, which is half a megabyte.
    found = socket.getaddrinfo(host.encode() or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    trouble: OSError | None = None
    for family, kind, protocol, _, (name, _port, *more) in dict.fromkeys(found):
        sock: socket.socket | None = None
        try:
            sock = socket.socket(family, kind, protocol)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((name, listeners[0].getsockname()[1] if listeners else port, *more))
            sock.listen(QUEUE)
            sock.setblocking(False)
        except OSError as error:
            trouble = error
            if sock is not None:
                sock.close()
            if error.errno not in _NO_SUCH_FAMILY:
                for other in listeners:
                    other.close()
                raise
        else:
            listeners.append(sock)
    if not listeners:
        raise trouble or OSError(errno.EADDRNOTAVAIL, "no such address here")
    return listeners


class Certificate:
    """What TLS shows; read again when its files have changed, since certificates are renewed while the daemon runs."""

    def __init__(self, file: str, key: str | None) -> None:
        """Raises OSError where it can't be read."""
        self._file, self._key = file, key
        self._seen = self._look()
        self._context = self._read()

    def context(self) -> ssl.SSLContext:
        """For the next connection. Where the new files can't be used, as between the two writes, the old ones stay."""
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            try:
                self._context = self._read()
            except OSError as error:
                why = f"{self._file}: {error.strerror or type(error).__name__}; the old one is shown until it is mended"
                logs.get().warning("certificate_not_read", error=why)
            else:
                logs.get().info("certificate_read", file=self._file)
        return self._context

    def _read(self) -> ssl.SSLContext:
        import ssl

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._file, self._key)
        return context

    def _look(self) -> tuple[str, ...]:
        return tuple(witness_of(_stat(file)) for file in (self._file, self._key) if file is not None)


def _stat(file: str) -> os.stat_result | None:
    try:
        return os.stat(file)
    except OSError:
        return None
