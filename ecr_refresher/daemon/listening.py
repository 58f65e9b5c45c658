"""Where the daemon listens: the sockets of an address, and the certificate that they show."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

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


def certificate(file: str, key: str | None) -> ssl.SSLContext:
    """What TLS needs to show a certificate. Raises OSError where it can't be read."""
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file, key)
    return context
