"""A TCP relay before a real server, as if that server were far away; it can also lose answers on purpose."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Self
from urllib.parse import urlsplit

PIECE = 65536


class Relay:
    """Passes everything on; a context manager, listening at `url`. `delay_s` is a round trip and may change any time.

    Opening a connection takes one round trip, and each answer one more, however many pieces it has. TLS through the
    relay takes the round trips of its handshake. `requests` counts requests, of clients that send one at a time.
    """

    def __init__(self, upstream: str, delay_s: float = 0.0) -> None:
        split = urlsplit(upstream)
        self.delay_s = delay_s
        self.requests = 0
        self._counting = threading.Lock()
        self._upstream = (split.hostname or "", split.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"{split.scheme}://127.0.0.1:{self._listener.getsockname()[1]}{split.path}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def loses_request(self, piece: bytes) -> bool:
        """Say whether the connection ends before this piece of a request reaches the server."""
        return False

    def loses_answer(self, piece: bytes) -> bool:
        """Say whether the connection ends before this piece of an answer reaches the client."""
        return False

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(client,), daemon=True).start()

    def _converse(self, client: socket.socket) -> None:
        asked = threading.Event()
        with client, contextlib.suppress(OSError):
            time.sleep(self.delay_s)
            with socket.create_connection(self._upstream) as server:
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                answers = threading.Thread(target=self._answer, args=(server, client, asked), daemon=True)
                answers.start()
                with contextlib.suppress(OSError):
                    while (piece := client.recv(PIECE)) and not self.loses_request(piece):
                        if not asked.is_set():
                            asked.set()
                            with self._counting:
                                self.requests += 1
                        server.sendall(piece)
                _hang_up(server)
                answers.join()

    def _answer(self, server: socket.socket, client: socket.socket, asked: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while (piece := server.recv(PIECE)) and not self.loses_answer(piece):
                if asked.is_set():
                    asked.clear()
                    time.sleep(self.delay_s)
                client.sendall(piece)
        _hang_up(client)


class LossyRelay(Relay):
    """Loses the answer to a request, or the request itself, when told to."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.lost = 0
        self._lock = threading.Lock()
        self._method: bytes | None = None
        self._reached = True
        self._doomed = False

    def lose_next(self, method: str, *, reached: bool) -> None:
        """Cut the connection of the next request of that method: after its answer came in, or before it is sent."""
        with self._lock:
            self._method, self._reached = method.encode() + b" ", reached

    def loses_request(self, piece: bytes) -> bool:
        with self._lock:
            if self._method is None or not piece.startswith(self._method):
                return False
            self._method = None
            self._doomed = self._reached
            self.lost += not self._reached
            return not self._reached

    def loses_answer(self, piece: bytes) -> bool:
        with self._lock:
            lost, self._doomed = self._doomed, False
            self.lost += lost
            return lost


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
