"""The listening sockets of an address, and the certificate for TLS."""

import contextlib
import errno
import os
import socket
import ssl
import stat

from ... import logs
from ...core.model import witness_of

BACKLOG = 1024  # a connection that finds it full tries again after a second
SEND_BUFFER, RECEIVE_BUFFER = 65536, 16384  # bytes of kernel memory for each connection; Linux doubles them
_NO_SUCH_ADDRESS = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}  # IPv6 is switched off


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen at every address of a host; on all interfaces, IPv6 and IPv4, if it is empty. Raises OSError."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    unusable: OSError | None = None
    with contextlib.ExitStack() as opened:
        for family, address in dict.fromkeys((family, address) for family, *_, address in found):
            where = (address[0], listeners[0].getsockname()[1] if listeners else port, *address[2:])
            try:
                listener = opened.enter_context(socket.create_server(where, family=family, backlog=BACKLOG))
            except OSError as error:
                if error.errno not in _NO_SUCH_ADDRESS:
                    raise
                unusable = error
                continue
            listener.setblocking(False)
            # Connections inherit these.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            listeners.append(listener)
        if unusable is not None and not listeners:
            raise unusable
        opened.pop_all()
    return listeners


class Certificate:
    """The certificate for TLS. It is read again after its files have changed: a renewal needs no restart."""

    def __init__(self, file: str, key: str | None) -> None:
        """Raises OSError if it can't be read."""
        self._file, self._key = file, key
        self._seen = self._witness()
        self._context = self._read()

    def context(self) -> ssl.SSLContext:
        """For the next connection. If the new files can't be used, the old certificate stays."""
        seen = self._witness()
        if seen != self._seen:
            self._seen = seen
            try:
                self._context = self._read()
            except OSError as error:  # perhaps one of the two files is still to come
                message = f"cannot use the new certificate {self._file}: {error.strerror or type(error).__name__}"
                fix = "Write a certificate and its key, without a passphrase, to server.tls_cert and server.tls_key"
                logs.get().warning("certificate_not_read", error=message, fix=fix)
            else:
                logs.get().info("certificate_read", file=self._file)
        return self._context

    def _read(self) -> ssl.SSLContext:
        for file in (self._file, self._key or self._file):
            if not stat.S_ISREG(os.stat(file).st_mode):  # a pipe would block whoever opens it
                raise OSError(errno.EINVAL, f"{file} is not a regular file")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._file, self._key, password=lambda: "")  # else it asks for one on the terminal
        return context

    def _witness(self) -> tuple[str, ...]:
        with contextlib.suppress(OSError):
            return tuple(witness_of(os.stat(file)) for file in (self._file, self._key) if file is not None)
        return ()
