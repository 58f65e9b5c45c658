"""What may stand in the way of a `config.json`, all at once: each is told, harms nobody else, and heals by itself."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGUSR1
from typing import Any

import pytest

from tests.faults.conftest import HOST, World
from tests.testbed.daemon import Daemon
from tests.testbed.processes import wait_until

BOB = 12_345  # nobody on any machine
HIS = {"auth": "Ym9iOmhpcw=="}
LIFE_S = 60.0  # short: so what is denied is tried again within seconds, and not within a minute

pytestmark = pytest.mark.usefixtures("as_root")


def mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


def umount(target: Path) -> None:
    subprocess.run(["umount", target], check=True)


class Place:
    """A file system of its own, with the directory of one `config.json` on it."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root / name.replace(" ", "-")
        self.root.mkdir()
        mount("-t", "tmpfs", "-o", "size=256k,nr_inodes=64", "none", self.root)
        self.directory = self.root / "docker"
        self.directory.mkdir()
        self.file = self.directory / "config.json"
        self.file.write_text(json.dumps({"auths": {"his.example.com": HIS}, "his": 1.50}))
        self.kept = root / f"{self.root.name}.kept"  # on another file system

    def put_away(self) -> None:
        self.kept.write_bytes(self.file.read_bytes())
        self.file.unlink()

    def put_back(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.file.unlink()
        self.file.write_bytes(self.kept.read_bytes())

    def entries(self) -> Any:
        """What the file holds; nothing, if it is not there or empty."""
        text = self.file.read_text() if self.file.exists() else ""
        return json.loads(text or '{"auths": {}}')["auths"]


@dataclass(frozen=True)
class Fault:
    """How it comes and goes, how it is told, and whether the file can be read all the while."""

    come: Callable[[Place], object]
    go: Callable[[Place], object]
    reason: str
    error: str
    readable: bool = True
    owner: str = ""


def fill(place: Place) -> None:
    with (place.root / "full").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1024))


def use_up_inodes(place: Place) -> None:
    (place.root / "many").mkdir()
    with contextlib.suppress(OSError):
        for number in range(100):
            (place.root / "many" / str(number)).touch()


def free_inodes(place: Place) -> None:
    for path in (place.root / "many").iterdir():
        path.unlink()


def become_a_directory(place: Place) -> None:
    place.put_away()
    place.file.mkdir()


def be_a_file_again(place: Place) -> None:
    place.file.rmdir()
    place.put_back()


def grow(place: Place) -> None:
    place.put_away()
    place.file.touch()
    os.truncate(place.file, 50 << 20)


def instead(make: Callable[[Path], object]) -> Callable[[Place], None]:
    def come(place: Place) -> None:
        place.put_away()
        make(place.file)

    return come


def link_to_roots_file(place: Place) -> None:
    place.put_away()
    (place.root / "roots.json").write_text('{"auths": {"his.example.com": {"auth": "Ym9iOmhpcw=="}}}')
    (place.root / "roots.json").chmod(0o666)
    place.file.symlink_to(place.root / "roots.json")
    os.chown(place.file, BOB, BOB, follow_symlinks=False)


def own_file_again(place: Place) -> None:
    assert (place.root / "roots.json").read_text() == '{"auths": {"his.example.com": {"auth": "Ym9iOmhpcw=="}}}'
    assert (place.root / "roots.json").stat().st_uid == 0
    place.put_back()
    os.chown(place.file, BOB, BOB)


FAULTS = {
    "full disk": Fault(fill, lambda place: (place.root / "full").unlink(), "transient", "the disk is full"),
    "no inodes": Fault(use_up_inodes, free_inodes, "transient", "no inodes left"),
    "read-only disk": Fault(
        lambda place: mount("-o", "remount,ro", place.root),
        lambda place: mount("-o", "remount,rw", place.root),
        "denied",
        "file system is read-only",
    ),
    "unwritable directory": Fault(
        lambda place: os.chown(place.directory, 0, 0),
        lambda place: os.chown(place.directory, BOB, BOB),
        "denied",
        f"uid {BOB}",
        owner=f"{BOB}:{BOB}",
    ),
    "a directory": Fault(become_a_directory, be_a_file_again, "invalid", "s a directory", readable=False),
    "a fifo": Fault(instead(os.mkfifo), Place.put_back, "invalid", "config.json", readable=False),
    "not JSON": Fault(
        instead(lambda file: file.write_text('{"auths": {')), Place.put_back, "invalid", "is not JSON", readable=False
    ),
    "50 MB": Fault(grow, Place.put_back, "invalid", "is larger than 264 KiB", readable=False),
    "a link to nowhere": Fault(
        instead(lambda file: file.symlink_to("none/new.json")),
        Place.put_back,
        "missing",
        "whose directory does not exist",
        readable=False,
    ),
    "a circle of links": Fault(
        instead(lambda file: file.symlink_to(file.name)), Place.put_back, "invalid", "config.json", readable=False
    ),
    "a single mounted file": Fault(
        lambda place: mount("--bind", place.file, place.file),
        lambda place: umount(place.file),
        "invalid",
        "is mounted as a single file",
    ),
    "his link to root's file": Fault(
        link_to_roots_file, own_file_again, "denied", "belongs to uid 0", owner=f"{BOB}:{BOB}", readable=False
    ),
}
# What is odd, but no reason to fail.
ODDITIES: dict[str, Callable[[Place], object]] = {
    "empty": instead(lambda file: file.touch()),
    "gone": Place.put_away,
    "a link to a file that is not there yet": instead(lambda file: file.symlink_to("new.json")),
    "a link to another file system": lambda place: instead(lambda file: file.symlink_to(place.kept))(place),
}


@pytest.fixture
def places(open_path: Path) -> Iterator[dict[str, Place]]:
    places: dict[str, Place] = {}
    try:
        for name in (*FAULTS, *ODDITIES):
            places[name] = Place(open_path, name)
        yield places
    finally:
        for place in places.values():
            subprocess.run(["umount", "-l", place.file], check=False, capture_output=True)
            subprocess.run(["umount", "-l", place.root], check=False)


def outcomes(daemon: Daemon, places: dict[str, Place]) -> dict[str, Any]:
    """The last error of each place's slot."""
    errors = {slot["sink"]: slot["last_error"] for slot in daemon.status()["slots"]}
    return {name: errors[f"docker/{place.file}"] for name, place in places.items()}


def test_files_and_disks_in_trouble_are_told_harm_nobody_and_heal(world: World, places: dict[str, Place]) -> None:
    owners = {name: fault.owner for name, fault in FAULTS.items() if fault.owner}
    for name in owners:
        for path in (places[name].directory, places[name].file):
            os.chown(path, BOB, BOB)
    world.book.life_s = LIFE_S
    world.settings["docker"] = [
        {"config_file": str(place.file)} | ({"owner": owners[name]} if name in owners else {})
        for name, place in places.items()
    ]
    daemon = world.start()
    daemon.wait_for(lambda status: status["ready"])
    before = {name: place.file.read_bytes() for name, place in places.items()}

    for name, fault in FAULTS.items():
        fault.come(places[name])
    for name, come in ODDITIES.items():
        come(places[name])
    held = world.airflow_password()
    daemon.signal(SIGUSR1)
    wait_until(lambda: world.airflow_password() != held, 30, "Airflow's own delivery")
    wait_until(lambda: sum(error is not None for error in outcomes(daemon, places).values()) >= len(FAULTS), 30, "told")
    found = outcomes(daemon, places)
    for name, fault in FAULTS.items():
        assert found[name]["reason"] == fault.reason, (name, found[name])
        assert fault.error in found[name]["message"], (name, found[name])
        assert str(places[name].root) in found[name]["message"], (name, found[name])
        if fault.readable:
            assert places[name].file.read_bytes() == before[name], name
    for name in ODDITIES:
        wait_until(lambda name=name: HOST in places[name].entries(), 10, name)  # type: ignore[misc]
        assert found[name] is None, (name, found[name])
    assert "his.example.com" in places["a link to another file system"].entries()
    assert daemon.get("/livez").status == 200

    for name, fault in FAULTS.items():
        fault.go(places[name])
    daemon.wait_for(
        lambda status: status["ready"] and not any(slot["last_error"] for slot in status["slots"]), within=2 * LIFE_S
    )
    for name in FAULTS:
        document = json.loads(places[name].file.read_text())
        assert document["auths"]["his.example.com"] == HIS, name
        assert document["his"] == 1.5, name
        assert not [path.name for path in places[name].directory.iterdir() if path.name.endswith(".tmp")], name
    assert daemon.stop() == 0
