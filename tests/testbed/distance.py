"""Distance: a TCP relay before a real server that lets each answer wait, as a network and its load balancers do."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Self
from urllib.parse import urlsplit

PIECE = 65536


class Distance:
    """Passes everything on, each answer `delay_s` later. A context manager; `url` is where it listens.

    `requests` counts what has been asked. One request at a time on a connection, as our clients send them.
    """

    def __init__(self, upstream: str, delay_s: float) -> None:
        split = urlsplit(upstream)
        self._upstream = (split.hostname or "", split.port or 80)
        self.delay_s = delay_s
        self.requests = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{split.path}"

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
        asked = threading.Event()  # since the last answer began
        with client, socket.create_connection(self._upstream) as server:
            answers = threading.Thread(target=self._answer, args=(server, client, asked), daemon=True)
            answers.start()
            with contextlib.suppress(OSError):
                while piece := client.recv(PIECE):
                    if not asked.is_set():
                        asked.set()
                        with self._lock:
                            self.requests += 1
                    server.sendall(piece)
            _hang_up(server)
            answers.join()

    def _answer(self, server: socket.socket, client: socket.socket, asked: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(PIECE):
                if asked.is_set():
                    asked.clear()
                    time.sleep(self.delay_s)
                client.sendall(piece)
        _hang_up(client)


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
