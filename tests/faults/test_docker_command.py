"""The real `docker` command, which takes no lock, and two daemons of ours, all writing one `config.json` at once."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCHLD, SIGUSR1
from typing import Any

import pytest

from tests.faults.conftest import HOST, SOAK, World, children, rounds
from tests.testbed import parts
from tests.testbed.daemon import Daemon
from tests.testbed.processes import wait_until
from tests.testbed.standins.registry_front import RegistryFront

OTHERS = ("210987654321.dkr.ecr.us-east-1.amazonaws.com", "345678901234.dkr.ecr.us-east-1.amazonaws.com")
HIS_LOGIN = {"auth": "Ym9iOmhpcw=="}
HIS_HEADERS = {"His": "stays"}
ROUNDS, SUITE_S = 1000, 12.0


class DockerCommand:
    """`docker login` and `logout` at a registry; without an engine the command asks the registry by itself."""

    def __init__(self, config: Path, front: RegistryFront) -> None:
        if not parts.DOCKER.exists():
            parts.give_up(f"docker command: {parts.DOCKER} not there; run `make prepare` as root on Debian")
        self.config, self.host = config, f"127.0.0.1:{front.port}"

    def login(self, password: str) -> None:
        self._run("login", "--username", "AWS", "--password-stdin", self.host, stdin=password)

    def logout(self, host: str = "") -> None:
        self._run("logout", host or self.host)

    def _run(self, *words: str, stdin: str = "") -> None:
        command = [str(parts.DOCKER), "--config", str(self.config), "--host", "unix:///nowhere.sock", *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


class Reader:
    """Reads the file all the time; counts what was torn, or without what must stay."""

    def __init__(self, file: Path) -> None:
        self.file, self.reads, self.bad = file, 0, []  # type: tuple[Path, int, list[str]]

    @contextmanager
    def reading(self) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._read, args=(over,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _read(self, over: threading.Event) -> None:
        while not over.wait(0.001):
            text = self.file.read_text()
            self.reads += 1
            try:
                document = json.loads(text)
                his = document["auths"]["his.example.com"], document["HttpHeaders"]
                if his != (HIS_LOGIN, HIS_HEADERS):
                    self.bad.append("what is his has changed")
            except (ValueError, KeyError) as error:
                self.bad.append(f"{type(error).__name__}, {len(text)} characters")


@contextmanager
def kept_busy(daemons: list[Daemon]) -> Iterator[None]:
    """Have each daemon write everything anew as soon as it is idle."""
    over = threading.Event()

    def push(daemon: Daemon) -> None:
        while not over.wait(0.05):
            if not children(daemon.pid):
                daemon.signal(SIGUSR1)

    threads = [threading.Thread(target=push, args=(daemon,)) for daemon in daemons]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.timeout(300 + 3600 * bool(SOAK))
def test_the_docker_command_and_two_daemons_on_one_file_lose_nothing(world: World) -> None:
    world.config_file.parent.mkdir()
    before = {"auths": {"his.example.com": HIS_LOGIN}, "HttpHeaders": HIS_HEADERS}
    world.config_file.write_text(json.dumps(before))
    del world.settings["airflow"]
    registry_url = world.front.url
    daemons = []
    for other in OTHERS:
        world.settings["registries"] = [{"host": host, "registry_url": registry_url} for host in (HOST, other)]
        daemons.append(world.start())
    for daemon in daemons:
        daemon.wait_for(lambda status: status["ready"])

    def entries() -> dict[str, Any]:
        held: dict[str, Any] = json.loads(world.config_file.read_text())["auths"]
        return held

    reader = Reader(world.config_file)
    docker = DockerCommand(world.config_file.parent, world.front)
    done = 0
    with reader.reading(), kept_busy(daemons):
        for done in rounds(ROUNDS // 2, SUITE_S):
            docker.login(world.book.issue("his").password)
            assert docker.host in entries(), f"his login of round {done} is lost"
            docker.logout()
            assert docker.host not in entries(), f"his logout of round {done} is lost"
    assert done >= 5
    assert reader.bad == []
    assert reader.reads > 10 * done

    def turn() -> None:
        for daemon in daemons:
            daemon.signal(SIGCHLD)  # has the loop turn now, and says nothing else

    def is_whole() -> bool:
        turn()
        return {HOST, *OTHERS} <= entries().keys() and not any(children(daemon.pid) for daemon in daemons)

    # What the command has taken away by writing back what it had read before is there again within a turn.
    wait_until(is_whole, 75, "ours", every=0.5)
    written = world.config_file.stat()
    for _ in range(5):
        wait_until(is_whole, 20, "idle daemons", every=0.5)
    assert world.config_file.stat().st_ino == written.st_ino, "they write over each other"
    for daemon in daemons:
        assert all(slot["last_error"] is None for slot in daemon.status()["slots"])
    assert world.book.check("AWS", world.docker_password()) == "ok"

    docker.logout(HOST)
    assert HOST not in entries()
    wait_until(is_whole, 75, "ours after a logout", every=0.5)
    print(f"{2 * done} writes of the docker command, {reader.reads} reads")
