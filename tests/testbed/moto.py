"""moto's server: an STS and an IMDSv2 that are not our own."""

from __future__ import annotations

import http.client
import os
import sys
from pathlib import Path

from tests.testbed.processes import Process, Record, free_port, wait_until


class Moto:
    """A moto_server in a process of its own, on loopback."""

    def __init__(self, record: Record, log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process = Process(record, "moto_server")
        command = [sys.executable, "-P", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process.start(command, log, {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(log.parent)})
        wait_until(self._answers, 60, "moto_server")

    def _answers(self) -> bool:
        assert self._process.running, "moto_server ended by itself"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/moto-api/data.json")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def close(self) -> None:
        self._process.stop()
