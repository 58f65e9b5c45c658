"""A host with a small disk of its own for Docker, and tasks on it that run images as the DockerOperator does."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException

from tests.testbed.engine import Engine
from tests.testbed.registry import HOST


def cleanup_settings(engine: Engine, directory: Path, **more: Any) -> dict[str, Any]:
    """One registry, its login in a config.json, and a cleanup of that engine."""
    rules = {
        "enabled": True,
        "engine": engine.url,
        "every": "1s",
        "state_file": str(directory / "state" / "cleanup.json"),
        "containers": {"exited_for": "1s"},
        "images": {"when_disk_above": "42%", "until_below": "38%", "unused_for": "2s"},
    }
    return {
        "registries": [HOST],
        "docker": {"config_file": str(directory / "docker" / "config.json")},
        "cleanup": rules | more,
    }


@dataclass
class Tasks:
    """What the DockerOperator does: pull if the image is not there, create, start, wait; the container is left."""

    engine: Engine
    login: dict[str, str]
    pulls: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    runs: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, image: str, *, pull_always: bool = False, leave: bool = True) -> bool:
        api = docker.APIClient(base_url=self.engine.url, version="auto", timeout=60)
        try:
            self._run(api, image, pull_always=pull_always, leave=leave)
        except (DockerException, OSError) as error:
            with self._lock:
                self.failures.append(f"{image}: {error}")
        finally:
            api.close()
        with self._lock:
            self.runs += 1
        return not self.failures

    def _run(self, api: docker.APIClient, image: str, *, pull_always: bool, leave: bool) -> None:
        if pull_always or not api.images(name=image):
            repository, _, tag = image.rpartition(":")
            for line in api.pull(repository, tag=tag, auth_config=self.login, stream=True, decode=True):
                if "error" in line:
                    raise APIError(line["error"])
            with self._lock:
                self.pulls[image] += 1
        config = api.create_host_config(network_mode="none")
        container = api.create_container(image, ["true"], host_config=config)["Id"]
        api.start(container)
        status = api.wait(container)["StatusCode"]
        if status != 0:
            raise APIError(f"the container ended with {status}")
        if not leave:
            api.remove_container(container)

    def build_on(self, image: str, tag: str) -> None:
        """Build an image on this one, run it, and remove what was built."""
        api = docker.APIClient(base_url=self.engine.url, version="auto", timeout=60)
        dockerfile = io.BytesIO(f'FROM {image}\nRUN ["/bin/true"]\nENV BUILT=yes\n'.encode())
        try:
            said = list(api.build(fileobj=dockerfile, tag=tag, network_mode="none", rm=True, decode=True))
            if errors := [line["error"] for line in said if "error" in line]:
                raise APIError(f"build: {errors}")
            self._run(api, tag, pull_always=False, leave=False)
            api.remove_image(tag)
        except (DockerException, OSError) as error:
            with self._lock:
                self.failures.append(f"build on {image}: {error}")
        finally:
            api.close()

    def run_all(self, images: Sequence[str], at_once: int = 2, every: Callable[[int], None] | None = None) -> None:
        """Run them in this order, a few at a time; `every` is called with the number of each run."""

        def one(numbered: tuple[int, str]) -> None:
            if every is not None:
                every(numbered[0])
            self.run(numbered[1])

        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(one, enumerate(images)))


def sequence(hot: Sequence[str], cold: Sequence[str], runs: int) -> list[str]:
    """Every second run is of an image in constant use; the others come seldom, and in turn."""
    rest = list(cold)
    random.Random(7).shuffle(rest)
    return [hot[n // 2 % len(hot)] if n % 2 else rest[n // 2 % len(rest)] for n in range(runs)]


def login_in(file: Path) -> dict[str, str]:
    auth = json.loads(file.read_text())["auths"][HOST]["auth"]
    user, _, password = base64.b64decode(auth).decode().partition(":")
    return {"username": user, "password": password}


def empty(engine: Engine) -> None:
    """Remove all containers and images, as nobody should do it elsewhere."""
    api = docker.APIClient(base_url=engine.url, version="auto", timeout=60)
    try:
        for container in api.containers(all=True):
            with suppress(APIError):
                api.remove_container(container["Id"], force=True)
        for _ in range(3):
            for image in api.images(all=True):
                with suppress(APIError):
                    api.remove_image(image["Id"], force=True)
            if not api.images(all=True):
                break
            time.sleep(0.1)
    finally:
        api.close()


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def daemon_listeners(pid: int) -> list[int]:
    """The children that stay: the one that listens; workers come and go."""
    before = set(children_of(pid))
    time.sleep(3)
    return sorted(before & set(children_of(pid)))


def load_many(engine: Engine, names: Sequence[str]) -> None:
    """As many images as names, of one layer and a config each."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("empty"))
    diff_id = f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"
    files = {"layer.tar": layer.getvalue()}
    manifest = []
    for number, name in enumerate(names):
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": [f"NUMBER={number}"]},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        }
        files[f"{number}.json"] = json.dumps(config).encode()
        manifest.append({"Config": f"{number}.json", "RepoTags": [name], "Layers": ["layer.tar"]})
    files["manifest.json"] = json.dumps(manifest).encode()
    bundle = io.BytesIO()
    with tarfile.open(fileobj=bundle, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    api = docker.APIClient(base_url=engine.url, version="auto", timeout=240)
    try:
        for line in api.load_image(bundle.getvalue()):  # type: ignore[no-untyped-call]
            assert "error" not in line, line
    finally:
        api.close()
