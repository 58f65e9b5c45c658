"""The product's own image, built by the real engine from the real Dockerfile, without any network but loopback."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.testbed import parts
from tests.testbed.engine import Engine
from tests.testbed.prepare_images import PYTHON, RootFileSystem

BASE = "testbed/python:3.13"
PRODUCT = "testbed/ecr-refresher:1"


class Listing(SimpleHTTPRequestHandler):
    """Directory listings of wheels: all that pip asks of an index."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def package_index(host: str = "127.0.0.1") -> Iterator[str]:
    """Serve the prepared wheels; gives the value for PIP_INDEX_URL."""
    handler = functools.partial(Listing, directory=str(parts.WHEELS))
    with ThreadingHTTPServer((host, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{host}:{server.server_port}/"
        server.shutdown()


def missing_image_parts(*systems: RootFileSystem) -> str | None:
    """Why nothing can be built or installed on these, or None."""
    absent = [reason for system in systems if (reason := system.missing())]
    if not (parts.WHEELS / ".ready").exists():
        absent.append(f"image: no wheels in {parts.WHEELS}; run `make prepare`")
    return parts.missing_engine() or next(iter(absent), None)


def import_base(engine: Engine, system: RootFileSystem, name: str) -> None:
    done = engine.docker("import", system.archive, name, within=120)
    assert done.returncode == 0, done.stderr


def build(engine: Engine, **arguments: str) -> None:
    """Build the image PRODUCT on the base BASE."""
    import_base(engine, PYTHON, BASE)
    with package_index() as url:
        given = {"BASE_IMAGE": BASE, "PIP_INDEX_URL": url, **arguments}
        words = [word for name, value in given.items() for word in ("--build-arg", f"{name}={value}")]
        done = engine.docker("build", "--network=host", "--tag", PRODUCT, *words, parts.REPOSITORY, within=400)
    assert done.returncode == 0, done.stdout + done.stderr


def inspected(engine: Engine, name: str) -> dict[str, Any]:
    """What the engine knows of an image or container."""
    done = engine.docker("inspect", name)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found
