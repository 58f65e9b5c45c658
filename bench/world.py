"""What is measured against: a real Airflow, engine and registry, near or far; AWS is a stand-in."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.testbed import parts
from tests.testbed.airflow import Airflow
from tests.testbed.airflow_flavours import SIMPLE
from tests.testbed.daemon import PRODUCT, clean_environment
from tests.testbed.engine import Engine
from tests.testbed.machine import Machine
from tests.testbed.measuring import Ended, Watched
from tests.testbed.processes import Record, free_port
from tests.testbed.registry import HOST, Registry
from tests.testbed.relay import Relay
from tests.testbed.secret_hunt import Secrets
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.registry_front import RegistryFront
from tests.testbed.standins.tokens import TokenBook

CONNECTION = "docker_default"
AIRFLOW_FAR_S, AWS_FAR_S = 0.08, 0.05  # one round trip


@dataclass
class World:
    """One registry, one Airflow, one config.json that an engine proves; and what commands need to reach them."""

    directory: Path
    ecr: EcrStandIn
    front: RegistryFront
    airflow: Airflow
    settings: dict[str, Any]
    environment: dict[str, str]
    daemons: list[RunningDaemon] = field(default_factory=list)

    @contextlib.contextmanager
    def far(self) -> Iterator[World]:
        """Give the same world with Airflow and AWS as far away as users have them."""
        with Relay(self.airflow.url, AIRFLOW_FAR_S) as airflow, Relay(self.ecr.url, AWS_FAR_S) as aws:
            settings = {**self.settings, "airflow": {**self.settings["airflow"], "url": airflow.url}}
            environment = {**self.environment, "AWS_ENDPOINT_URL_ECR": aws.url}
            self.front.slow(AWS_FAR_S)
            try:
                with contextlib.closing(replace(self, settings=settings, environment=environment, daemons=[])) as far:
                    yield far
            finally:
                self.front.heal()

    def fresh(self) -> None:
        """Make it a machine where nothing was ever delivered."""
        shutil.rmtree(self.directory / "docker", ignore_errors=True)
        self.airflow.delete_all_connections()

    def command(self, *words: str) -> list[str]:
        """Return a command of the product, with the world's settings."""
        file = self.directory / "settings.yaml"
        file.write_text(json.dumps(self.settings))
        return [*PRODUCT, *words, "--config", str(file)]

    def close(self) -> None:
        """End the daemons that still run."""
        for daemon in self.daemons:
            if daemon.process.poll() is None:
                daemon.end()

    def daemon(self, **changes: Any) -> RunningDaemon:
        """Start the daemon, with some settings changed."""
        daemon = RunningDaemon({**self.settings, **changes}, self.environment, self.directory)
        self.daemons.append(daemon)
        return daemon


class RunningDaemon:
    """One `ecr-refresher run`, from its start to its end."""

    def __init__(self, settings: Mapping[str, Any], environment: Mapping[str, str], directory: Path) -> None:
        self.port = free_port()
        file, self.log = directory / "daemon.yaml", directory / "daemon.log"
        file.write_text(json.dumps({**settings, "server": {"listen": f"127.0.0.1:{self.port}"}}))
        self.began = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*PRODUCT, "run", "--config", str(file)], env=dict(environment), stderr=log, cwd=directory
            )
        self.watched = Watched(self.process.pid)

    def wait_for(self, event: str, times: int, within_s: float = 120) -> float:
        """Return the seconds from the start to that many log lines of an event. Raises Ended."""
        while self.process.poll() is None and time.monotonic() < self.began + within_s:
            if self.count(event) >= times:
                return time.monotonic() - self.began
            time.sleep(0.005)
        raise Ended(f"no {times} lines of {event}; the log says:\n{self.log.read_text()[-4000:]}")

    def count(self, event: str) -> int:
        return self.log.read_bytes().count(f'"event": "{event}"'.encode())

    def one_pass(self) -> tuple[float, float, float]:
        """Make it fetch and write everything. Return seconds, CPU seconds and peak megabytes of all processes."""
        before, cpu, began = self.count("pass_finished"), self.watched.cpu_s(), time.monotonic()
        self.force()
        peak = self.watched.peak_with_children(until=lambda: self.count("pass_finished") > before)
        return time.monotonic() - began, self.watched.cpu_s() - cpu, peak

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return bytes(answer.read())

    def force(self) -> None:
        self.process.send_signal(signal.SIGUSR1)

    def calm(self) -> None:
        """Wait until no worker runs and the loop sleeps."""
        while self.watched.children():
            time.sleep(0.05)
        time.sleep(2)

    def end(self) -> float:
        """Return the seconds that SIGTERM takes."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        return time.monotonic() - began


@contextlib.contextmanager
def world(directory: Path) -> Iterator[World]:
    """Start the real parts. Raises parts.Missing if this machine can't have one."""
    for missing in (SIMPLE.missing(), parts.missing_engine(), parts.missing_registry()):
        if missing:
            raise parts.Missing(missing)
    book, record = TokenBook(), Record()
    with contextlib.ExitStack() as stack:
        machine = stack.enter_context(contextlib.closing(Machine()))
        machine.name_host(HOST)
        airflow = stack.enter_context(contextlib.closing(Airflow(record, Secrets(), directory / "airflow.log")))
        airflow.start()
        engine = stack.enter_context(contextlib.closing(Engine(machine, record, directory / "dockerd.log")))
        engine.start()
        registry = stack.enter_context(contextlib.closing(Registry(machine, book, record, directory / "registry.log")))
        ecr = stack.enter_context(EcrStandIn(book))
        password_file = directory / "password"
        password_file.write_text(airflow.passwords["oper"])
        password_file.chmod(0o600)
        settings: dict[str, Any] = {
            "registries": [HOST],
            "airflow": {"url": airflow.url, "username": "oper", "password_file": str(password_file)},
            "docker": {"config_file": str(directory / "docker" / "config.json"), "engine": engine.url},
        }
        environment = clean_environment(directory, ecr_url=ecr.url, measured=False, env=registry.environment())
        made = World(directory, ecr, registry.front, airflow, settings, environment)
        yield stack.enter_context(contextlib.closing(made))


def say(text: str) -> None:
    """Say on standard error how far the benchmarks are; standard output is for the tables."""
    print(text, file=sys.stderr, flush=True)
