"""Looks at the stat of watched files, in threads: a file system that hangs must not stop the daemon's loop."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Collection

from .. import logs
from ..core.model import witness_of

LOOK_S = 0.5  # how long a turn of the loop waits for its files; a stat takes microseconds, or a round trip to a server
HANGS_S = 5.0  # after so long a file is left out until it answers, and the others are looked at without it


class FileWatch:
    """Knows each file's witness, and which files hang, in a home directory whose NFS server is dead for example."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}
        self._round: _Round | None = None
        self._hanging: dict[str, _Round] = {}

    async def look(self, paths: Collection[str]) -> dict[str, str]:
        """The witness of each file, as it is now or was when it last answered; a file that never did is missing."""
        self._hanging = {path: waiting for path, waiting in self._hanging.items() if not waiting.ended.is_set()}
        if self._round is None or self._round.ended.is_set() or self._hangs(self._round):
            self._round = _Round([path for path in paths if path not in self._hanging], self._seen)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._round.ended.wait()
        return {path: self._seen[path] for path in paths if path in self._seen}

    def _hangs(self, waiting: "_Round") -> bool:
        path, since = waiting.at
        if time.monotonic() - since < HANGS_S:
            return False
        self._hanging[path] = waiting
        fix = "Look for a dead network file system, and mount it again"
        logs.get().warning("file_hangs", error=f"{path}: its file system gives no answer", fix=fix)
        return True


class _Round:
    """One look at each of these files, in a thread of its own. `at` is the file that it has come to, and since when."""

    def __init__(self, paths: Collection[str], seen: dict[str, str]) -> None:
        self.ended, self.at = asyncio.Event(), ("", time.monotonic())
        loop = asyncio.get_running_loop()

        def look() -> None:
            for path in paths:
                self.at = path, time.monotonic()
                seen[path] = _witness(path)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self.ended.set)

        threading.Thread(target=look, name="file watch", daemon=True).start()


def _witness(path: str) -> str:
    try:
        return witness_of(os.stat(path))
    except FileNotFoundError:
        return witness_of(None)
    except OSError as error:
        return f"error {error.errno}"
