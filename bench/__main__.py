"""The daemon's figures, measured on stand-ins and, as root on Debian, a real engine and registry; as a Markdown table.

Time from the start of the process to the first delivery everywhere; memory and wake-ups of the idle daemon after three
passes. Run it on a quiet machine: `make bench`.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ecr_refresher import __version__
from ecr_refresher.standins.airflow import AirflowStandIn
from ecr_refresher.standins.ecr import EcrStandIn
from ecr_refresher.standins.registry_front import RegistryFront
from ecr_refresher.standins.tokens import TokenBook
from tests.testbed import parts
from tests.testbed.daemon import clean_environment
from tests.testbed.engine import Engine
from tests.testbed.machine import Machine
from tests.testbed.processes import Record, free_port
from tests.testbed.registry import HOST, Registry

RUNS = int(os.environ.get("BENCH_RUNS", "7"))
IDLE_S = float(os.environ.get("BENCH_IDLE_S", "180"))
COMMAND = [sys.executable, "-P", "-m", "ecr_refresher", "run"]


@contextlib.contextmanager
def world(directory: Path) -> Iterator[tuple[dict[str, object], dict[str, str], AirflowStandIn, str]]:
    """Settings and environment of a daemon that has all to do; its Airflow; and what of it is real."""
    book = TokenBook()
    with contextlib.ExitStack() as stack:
        ecr = stack.enter_context(EcrStandIn(book))
        password = secrets.token_urlsafe(12)
        airflow = stack.enter_context(AirflowStandIn("bench", password))
        password_file = directory / "password"
        password_file.write_text(password)
        password_file.chmod(0o600)
        docker: dict[str, object] = {"config_file": str(directory / "docker" / "config.json")}
        registry: dict[str, object] = {"host": HOST}
        trust: dict[str, str] = {}
        if parts.missing_engine() is None and parts.missing_registry() is None:
            record = Record()
            machine = stack.enter_context(contextlib.closing(Machine()))
            machine.name_host(HOST)
            engine = stack.enter_context(contextlib.closing(Engine(machine, record, directory / "dockerd.log")))
            engine.start()
            real = stack.enter_context(
                contextlib.closing(Registry(machine, book, record, directory / "docker-registry.log"))
            )
            docker["engine"], trust, kind = engine.url, real.environment(), "engine and registry real"
        else:
            front = stack.enter_context(RegistryFront(book))
            registry["registry_url"], kind = front.url, "all stand-ins, no engine"
        settings: dict[str, object] = {
            "registries": [registry],
            "airflow": {"url": airflow.url, "username": "bench", "password_file": str(password_file)},
            "docker": docker,
        }
        yield settings, clean_environment(directory, ecr_url=ecr.url, measured=False, env=trust), airflow, kind


class Run:
    """One daemon, from its start to its end."""

    def __init__(self, settings: dict[str, object], environment: dict[str, str], directory: Path) -> None:
        file = directory / "settings.yaml"
        file.write_text(json.dumps(settings | {"server": {"listen": f"127.0.0.1:{free_port()}"}}))
        self.log = directory / "log"
        self.began = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([*COMMAND, "--config", str(file)], env=environment, stderr=log)

    def wait_for(self, event: str, times: int) -> float:
        """Seconds from the start until a log line of that event had come so often."""
        while self.process.poll() is None and time.monotonic() < self.began + 60:
            if self.log.read_bytes().count(f'"event": "{event}"'.encode()) >= times:
                return time.monotonic() - self.began
            time.sleep(0.005)
        raise SystemExit(f"no {times} lines of {event}; the log says:\n{self.log.read_text()}")

    def figure(self, name: str) -> float:
        """Megabytes of /proc's smaps_rollup."""
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith(f"{name}:"))

    def switches(self) -> int:
        """Voluntary context switches of all threads: how often it woke up."""
        total = 0
        for status in Path(f"/proc/{self.process.pid}/task").glob("*/status"):
            lines = status.read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
        return total

    def end(self) -> float:
        """Seconds that SIGTERM takes."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        return time.monotonic() - began


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        with world(directory) as (settings, environment, airflow, kind):
            starts = []
            for _ in range(RUNS):
                shutil.rmtree(directory / "docker", ignore_errors=True)
                airflow.connections.clear()
                run = Run(settings, environment, directory)
                starts.append(run.wait_for("delivered", 2))
                run.end()
            run = Run(settings, environment, directory)
            for passes in (1, 2, 3):
                run.wait_for("pass_finished", passes)
                run.process.send_signal(signal.SIGUSR1) if passes < 3 else None
            time.sleep(2)
            before, idle_from = run.switches(), time.monotonic()
            resident, dirty = run.figure("Rss"), run.figure("Private_Dirty")
            time.sleep(IDLE_S)
            wakeups = (run.switches() - before) / (time.monotonic() - idle_from) * 60
            end_s = run.end()
    print(f"ecr-refresher {__version__}, Python {platform.python_version()}, {os.cpu_count()} cores; {kind}\n")
    print("| figure | measured | must |")
    print("|---|---|---|")
    print(f"| start to first delivery, median of {RUNS} | {statistics.median(starts):.2f} s | 1.5 s |")
    print(f"| idle, resident | {resident:.1f} MB | 30 MB |")
    print(f"| idle, private dirty | {dirty:.1f} MB | 18 MB |")
    print(f"| wake-ups, idle | {wakeups:.1f} a minute | 3 |")
    print(f"| SIGTERM to end, idle | {end_s * 1000:.0f} ms | |")


if __name__ == "__main__":
    main()
