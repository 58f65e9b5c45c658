"""A settings file that is spoiled or taken away while the real daemon runs, and a port that is somebody else's."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from signal import SIGCHLD, SIGHUP, SIGUSR1

from tests.faults.conftest import World
from tests.testbed.processes import wait_until


def become_a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def become_a_fifo(file: Path) -> None:
    """Whoever opens it waits for a writer that never comes."""
    file.unlink()
    os.mkfifo(file)


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (Path.unlink, "does not exist"),
    "a directory": (become_a_directory, "s a directory"),
    "a fifo": (become_a_fifo, "can't be read: it is"),
    "no YAML": (lambda file: file.write_text("registries: [unclosed"), "is not YAML at line 2"),
    "cut in its middle": (lambda file: file.write_bytes(file.read_bytes()[:100]), "is not YAML at line"),
    "a wrong key": (lambda file: file.write_text("registry: [a]"), "Did you mean 'registries'"),
    "binary": (lambda file: file.write_bytes(bytes(range(256)) * 100), "settings"),
    "a bomb": (lambda file: file.write_text("a: &a [1]\n" + "b: [*a, *a]\n" * 3), "b"),
}


def restore(file: Path, text: str) -> None:
    if file.is_dir():
        file.rmdir()
    elif not file.is_file():
        file.unlink(missing_ok=True)
    file.write_text(text)


def test_spoiled_settings_leave_the_old_ones_in_force_are_said_and_counted(world: World) -> None:
    daemon = world.start()
    daemon.wait_for(lambda status: status["ready"])
    good = daemon.settings_file.read_text()
    for count, (name, (spoil, said)) in enumerate(SPOILED.items(), start=1):
        spoil(daemon.settings_file)
        daemon.signal(SIGHUP)
        wait_until(lambda count=count: len(daemon.logs("settings_refused")) == count, 20, name)  # type: ignore[misc]
        assert said in daemon.logs("settings_refused")[-1]["error"], name
        assert daemon.metrics().value("ecr_refresher_config_reloads_total", result="failure") == count
        assert daemon.metrics().value("ecr_refresher_config_last_reload_successful") == 0
        assert daemon.get("/readyz").status == 200
        restore(daemon.settings_file, good)
        daemon.settings_file.touch()

    # They are in force: with them everything is written anew.
    held = world.docker_password()
    daemon.signal(SIGUSR1)
    wait_until(lambda: world.docker_password() != held, 20, "a write by the old settings")

    # A changed file needs no signal; SIGCHLD has the loop turn now, and says nothing else.
    moved = world.directory / "moved" / "config.json"
    new = world.settings | {"docker": {"config_file": str(moved)}}
    daemon.settings_file.write_text(json.dumps(new))
    daemon.signal(SIGCHLD)
    wait_until(moved.exists, 75, "a delivery by the new settings")
    assert daemon.metrics().value("ecr_refresher_config_last_reload_successful") == 1

    # And nobody else gets its port.
    second = world.product.start_daemon(world.settings, ecr_url=world.ecr.url, port=daemon.port, answering=False)
    assert second.wait(20) == 1
    refused = second.logs("cannot_listen")[0]
    assert f"127.0.0.1:{daemon.port}" in refused["error"]
    assert "Address already in use" in refused["error"]
    assert "server.listen" in refused["fix"]
    assert daemon.stop() == 0
