"""A TCP proxy before a real server, which loses the answer to a request, or the request itself, when it is told to."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self
from urllib.parse import urlsplit

PIECE = 65536


class CuttingProxy:
    """Passes everything on, save for what it has been told to lose. A context manager; `url` is where it listens."""

    def __init__(self, upstream: str) -> None:
        split = urlsplit(upstream)
        self._upstream = (split.hostname or "", split.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{split.path}"
        self._lock = threading.Lock()
        self._method: bytes | None = None
        self._reached = True
        self.lost = 0

    def lose_next(self, method: str, *, reached: bool) -> None:
        """Cut the connection of the next request of that method: after its answer has come in, or before it is sent."""
        with self._lock:
            self._method, self._reached = method.encode() + b" ", reached

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(client,), daemon=True).start()

    def _converse(self, client: socket.socket) -> None:
        doomed = threading.Event()
        with client, socket.create_connection(self._upstream) as server:
            answers = threading.Thread(target=self._answer, args=(server, client, doomed), daemon=True)
            answers.start()
            with contextlib.suppress(OSError):
                while piece := client.recv(PIECE):
                    with self._lock:
                        meant = self._method is not None and piece.startswith(self._method)
                        self._method = None if meant else self._method
                    if meant:
                        doomed.set()
                        if not self._reached:
                            self.lost += 1
                            break
                    server.sendall(piece)
            _hang_up(server)
            answers.join()

    def _answer(self, server: socket.socket, client: socket.socket, doomed: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(PIECE):
                if doomed.is_set():
                    self.lost += 1
                    break
                client.sendall(piece)
        _hang_up(client)


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
