"""A daemon's server over real sockets, without the daemon: its pages show a `World`, whose clock the test turns."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
from collections.abc import Coroutine

from ecr_refresher.core.plan import Server
from ecr_refresher.daemon.web.pages import Pages
from ecr_refresher.daemon.web.server import WebServer

from .world import World

PATIENCE_S = 20.0  # no answer within this is none


class House:
    """A world, the pages on it, and a server that answers from them in a loop of its own."""

    def __init__(self, world: World, settings: Server, pages: Pages | None = None) -> None:
        self.world = world
        self.pages = pages or Pages(world.state, lambda: world.boot, lambda: world.mono)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self._await(self._listen(settings))
        except BaseException:
            self._end()
            raise

    async def _listen(self, settings: Server) -> None:
        self.server = WebServer(self.pages, settings)

    def _await(self, work: Coroutine[object, object, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def __enter__(self) -> House:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the server, then its loop."""
        if self._thread.is_alive():
            self._await(self.server.stop())
            self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def publish(self) -> None:
        self.pages.state = self.world.state

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
