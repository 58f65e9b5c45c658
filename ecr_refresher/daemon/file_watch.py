"""Looks at the stat of watched files, in threads: a file system that hangs must not stop the daemon's loop."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Collection

from .. import logs
from ..core.model import witness_of

LOOK_S = 0.5  # for all files; a stat takes microseconds, or a round trip to a server


class FileWatch:
    """Remembers which files it still waits for, such as those in a home directory whose NFS server is dead."""

    def __init__(self) -> None:
        self._waiting: dict[str, threading.Thread] = {}

    async def look(self, paths: Collection[str]) -> dict[str, str]:
        """The witness of each file; a file that gives no answer is missing, and so may be those after it this time."""
        self._waiting = {path: thread for path, thread in self._waiting.items() if thread.is_alive()}
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        wanted = [path for path in paths if path not in self._waiting]
        seen: dict[str, str] = {}

        def look() -> None:
            for path in wanted:
                seen[path] = _witness(path)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(done.set)

        thread = threading.Thread(target=look, name="file watch", daemon=True)
        thread.start()
        try:
            async with asyncio.timeout(LOOK_S):
                await done.wait()
        except TimeoutError:
            found = dict(seen)
            if hung := next((path for path in wanted if path not in found), None):
                self._waiting[hung] = thread
                fix = "Look for a dead network file system, and mount it again"
                logs.get().warning("file_hangs", error=f"{hung}: the file system gives no answer", fix=fix)
            return found
        return seen


def _witness(path: str) -> str:
    try:
        return witness_of(os.stat(path))
    except FileNotFoundError:
        return witness_of(None)
    except OSError as error:
        return f"error {error.errno}"
