"""A daemon's server over real sockets, without the daemon: its pages show a `World`, whose clock the test turns."""

from __future__ import annotations

import contextlib
import http.client
import socket

from ecr_refresher.core.plan import Server
from ecr_refresher.daemon.web.http import HttpServer
from ecr_refresher.daemon.web.pages import Pages

from .world import World

PATIENCE_S = 20.0  # no answer within this is none


class House:
    """A world, the pages on it, and a server that answers from them."""

    def __init__(self, world: World, settings: Server) -> None:
        self.world = world
        self.pages = Pages(world.state, lambda: world.boot, lambda: world.mono)
        self.server = HttpServer(self.pages, settings)
        self.server.start()

    def publish(self) -> None:
        self.pages.publish(self.world.state)

    def dial(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), PATIENCE_S)

    def ask(self, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.server.port, PATIENCE_S)) as client:
            client.request(method, path, headers=headers)
            answer = client.getresponse()
            answer.text = answer.read().decode()  # type: ignore[attr-defined]
            return answer

    def text(self, path: str, **headers: str) -> str:
        answer = self.ask(path, **headers)
        assert answer.status == 200
        return str(answer.text)  # type: ignore[attr-defined]
