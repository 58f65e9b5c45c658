"""systemd's notifications: READY, WATCHDOG, STOPPING, where the environment asks for them. See sd_notify(3)."""

from __future__ import annotations

import socket
from collections.abc import Mapping


class Notifier:
    """Speaks to the service manager; says nothing where there is none."""

    def __init__(self, environ: Mapping[str, str], pid: int) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # an abstract socket
            self._address = "\0" + self._address[1:]
        usec = environ.get("WATCHDOG_USEC", "")
        mine = environ.get("WATCHDOG_PID", str(pid)) == str(pid)
        # Half of what is granted, as sd_watchdog_enabled(3) advises.
        self.watchdog_s: float | None = int(usec) / 2e6 if usec.isdigit() and mine and int(usec) > 0 else None
        self._said: set[str] = set()

    def ready(self) -> None:
        """Said once: enough is up for what depends on this service."""
        self._once("READY=1")

    def stopping(self) -> None:
        self._once("STOPPING=1")

    def alive(self) -> None:
        if self.watchdog_s is not None:
            self._send("WATCHDOG=1")

    def _once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._send(message)

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.settimeout(1.0)
                sock.sendto(message.encode(), self._address)
        except OSError:
            return  # a manager that has gone away must not end the daemon
