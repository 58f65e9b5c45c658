"""Containers of the tests' engine, seen from the host: their processes, memory and words."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.testbed.engine import Engine
from tests.testbed.images import inspected
from tests.testbed.processes import wait_until
from tests.testbed.secret_hunt import Outputs


class Container:
    """A container by name; `close` removes it. What it has said is kept for the hunt."""

    def __init__(self, engine: Engine, name: str, outputs: Outputs) -> None:
        self.engine, self.name = engine, name
        self._outputs = outputs

    def run(self, image: str, *command: str, options: tuple[str, ...], env: Mapping[str, str] | None = None) -> None:
        """Start it in the background."""
        variables = [word for name, value in (env or {}).items() for word in ("--env", f"{name}={value}")]
        done = self.engine.docker("run", "--detach", "--name", self.name, *options, *variables, image, *command)
        assert done.returncode == 0, done.stderr

    def state(self) -> dict[str, Any]:
        """What the engine says of its state: Running, ExitCode, OOMKilled, Health…"""
        state: dict[str, Any] = inspected(self.engine, self.name)["State"]
        return state

    @property
    def pid(self) -> int:
        """The host's number of its process 1."""
        return int(self.state()["Pid"])

    def logs(self) -> str:
        """All that it has said so far, on both streams."""
        done = self.engine.docker("logs", self.name)
        self._outputs.keep(f"{self.name}.logs", done.stdout + done.stderr)
        return done.stdout + done.stderr

    def execute(self, *command: str, stdin: str = "", within: float = 60) -> str:
        """Run a command in it; its output. It must succeed."""
        done = self.engine.docker("exec", "--interactive", self.name, *command, stdin=stdin, within=within)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def wait_for_health(self, wanted: str, within: float = 60) -> None:
        wait_until(lambda: self.state()["Health"]["Status"] == wanted, within, f"{wanted}: {self.name}", every=0.3)

    def stop(self, patience: int = 10) -> int:
        """`docker stop`, which kills after `patience` seconds; the exit status (137: it had to be killed)."""
        done = self.engine.docker("stop", "--time", str(patience), self.name)
        assert done.returncode == 0, done.stderr
        return int(self.state()["ExitCode"])

    def close(self) -> None:
        with contextlib.suppress(AssertionError):
            self.logs()
        self.engine.docker("rm", "--force", "--volumes", self.name)


@contextlib.contextmanager
def container(engine: Engine, name: str, outputs: Outputs) -> Iterator[Container]:
    made = Container(engine, name, outputs)
    try:
        yield made
    finally:
        made.close()


def status_of(port: int) -> dict[str, Any] | None:
    """The body of /status of a daemon on the host's network; None while there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/status")
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return answer


# --- processes, by the host's numbers


def process(pid: int) -> dict[str, str]:
    """The fields of /proc/PID/status; none for a process that is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.MULTILINE))


def children(pid: int) -> dict[int, dict[str, str]]:
    """The children of a process, zombies included, with the fields of their status."""
    found = ((int(name), process(int(name))) for name in os.listdir("/proc") if name.isdigit())
    return {child: fields for child, fields in found if fields.get("PPid") == str(pid)}


def peak_memory(pid: int) -> int:
    """The most bytes that the cgroup of a process ever held, cached files included."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return int(Path(f"/sys/fs/cgroup/memory{path}/memory.max_usage_in_bytes").read_text())
        if not controllers and (unified := Path(f"/sys/fs/cgroup{path}/memory.peak")).exists():
            return int(unified.read_text())
    raise AssertionError("no cgroup with a memory controller")
