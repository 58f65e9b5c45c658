"""systemd's notifications, where the environment asks for them: see sd_notify(3)."""

import contextlib
import socket
import time
from collections.abc import Mapping
from typing import Literal

Phase = Literal["ready", "reloading", "stopping"]


class Notifier:
    """Tells the service manager about each new phase; does nothing where there is no manager."""

    def __init__(self, environ: Mapping[str, str], pid: int) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # an abstract socket
            self._address = "\0" + self._address[1:]
        usec = environ.get("WATCHDOG_USEC", "")
        mine = environ.get("WATCHDOG_PID", str(pid)) == str(pid)
        # Half of the interval, as sd_watchdog_enabled(3) advises.
        self.watchdog_s: float | None = int(usec) / 2e6 if usec.isdigit() and mine and int(usec) > 0 else None
        self._phase: Phase | None = None

    def phase(self, phase: Phase) -> None:
        """Enter a phase; only a ready daemon can be reloading."""
        if phase == self._phase or (phase == "reloading" and self._phase is None):
            return
        self._phase = phase
        # With the monotonic time, Type=notify-reload can tell this reload from an earlier one.
        reloading = f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"
        self._send({"ready": "READY=1", "reloading": reloading, "stopping": "STOPPING=1"}[phase])

    def alive(self) -> None:
        if self.watchdog_s is not None:
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as sock:
            sock.settimeout(1.0)
            sock.sendto(message.encode(), self._address)  # a manager that is gone must not end the daemon
