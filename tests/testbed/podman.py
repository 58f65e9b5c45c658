"""Podman's own engine: its API on a socket, with images and containers of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.testbed import parts
from tests.testbed.processes import remove_tree, wait_until

# Podman's default limits are above what a container of a machine without CAP_SYS_RESOURCE may set.
CONTAINERS = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'


@contextmanager
def podman_service(directory: Path, environment: Mapping[str, str]) -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """Its address, and the command and environment for its command line.

    Its run root may have 50 characters at most.
    """
    for part in (parts.PODMAN, parts.SKOPEO):
        if not part.exists():
            parts.give_up(f"podman: {part} is not there; run `make prepare` as root on Debian")
    command = [str(parts.PODMAN), "--root", f"{directory}/r", "--runroot", f"{directory}/rr", "--storage-driver", "vfs"]
    settings = directory / "containers.conf"
    settings.write_text(CONTAINERS)
    environ = {"PATH": os.environ["PATH"], "HOME": str(directory), "CONTAINERS_CONF": str(settings), **environment}
    socket = directory / "podman.sock"
    service = subprocess.Popen(
        [*command, "system", "service", "--time=0", f"unix://{socket}"], env=environ, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(socket.exists, 20, "Podman's socket")
        yield f"unix://{socket}", command, environ
    finally:
        subprocess.run(
            [*command, "rm", "--all", "--force", "--time", "0"], env=environ, capture_output=True, check=False
        )
        service.kill()
        service.wait()
        remove_tree(directory / "r")
