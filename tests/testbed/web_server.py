"""The daemon's server alone, in a process of its own, with as many slots as a test wants and a state that changes.

`python -m tests.testbed.web_server SLOTS [CERTIFICATE KEY]` prints its port, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time

from ecr_refresher import logs
from ecr_refresher.core.plan import Server
from ecr_refresher.daemon.web.pages import Pages
from ecr_refresher.daemon.web.server import WebServer
from tests.browser.scenes import plan
from tests.unit.daemon.world import World

CHANGE_EVERY_S = 0.2


async def serve(slots: int, certificate: str | None = None, key: str | None = None) -> None:
    world = World().served(plan(slots))
    began, boot = time.monotonic(), world.boot

    def now() -> float:
        return boot + time.monotonic() - began

    async def change() -> None:
        while True:
            await asyncio.sleep(CHANGE_EVERY_S)
            world.boot = now()
            pages.state = world.turn().state

    pages = Pages(world.state, now, now)
    server = WebServer(pages, Server(port=0, tls_cert=certificate, tls_key=key))
    print(server.port, flush=True)
    loop = asyncio.get_running_loop()
    changing = loop.create_task(change())
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    await ended.wait()
    changing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await changing
    await server.stop()


if __name__ == "__main__":
    logs.configure("info", "json")
    asyncio.run(serve(int(sys.argv[1]), *sys.argv[2:4]))
