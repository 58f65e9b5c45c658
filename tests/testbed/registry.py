"""A real registry under the name of an ECR host: TLS, ECR's login, tokens from a book.

Debian's docker-registry on loopback; before it the product's stand-in of ECR's front, on an address of its own.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from tests.testbed import parts
from tests.testbed.certificates import CertificateAuthority
from tests.testbed.engine import Engine
from tests.testbed.machine import ADDRESS, Machine
from tests.testbed.processes import Process, Record, free_port, remove_tree, wait_until
from tests.testbed.standins.registry_front import RegistryFront
from tests.testbed.standins.tokens import IssuedToken, TokenBook

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
REPOSITORY = "web_scraper"


class Registry:
    """The registry, up from construction to `close`. Its `book` says which tokens are good.

    HOST must mean ADDRESS already (`Machine.name_host`): an engine that looked it up before may remember for 5 s that
    there is none.
    """

    host = HOST
    image = f"{HOST}/{REPOSITORY}:latest"

    def __init__(self, machine: Machine, book: TokenBook, record: Record, log_file: Path) -> None:
        self.book = book
        self.directory = Path(tempfile.mkdtemp(prefix="ecrtb-"))
        self._record = record
        record.directory(self.directory)
        self._process = Process(record, "docker-registry")
        authority = CertificateAuthority(self.directory / "certificates")
        self.ca_file = authority.ca_file
        machine.trust(HOST, self.ca_file)
        self.upstream = f"http://127.0.0.1:{self._start_upstream(log_file)}"
        self.front = RegistryFront(
            book, upstream=self.upstream, host=ADDRESS, port=443, tls=authority.issue(HOST, ADDRESS)
        )
        self.front.start()

    def environment(self) -> dict[str, str]:
        """What the product's environment needs to trust this registry: the 'system's CA' is ours."""
        return {"SSL_CERT_FILE": str(self.ca_file)}

    def push(self, engine: Engine, image: str, name: str = image) -> None:
        """Push an image of that engine under `name`, with a fresh token; it doesn't stay on the engine."""
        token = self.book.issue(life_s=600)
        with tempfile.TemporaryDirectory(prefix="ecrtb-") as config:
            for done in (
                engine.login(HOST, token.username, token.password, Path(config)),
                engine.docker("tag", image, name),
                engine.docker("push", name, config=Path(config)),
                engine.docker("rmi", name),
            ):
                assert done.returncode == 0, done.stderr

    def login(self, engine: Engine, token: IssuedToken, config: Path) -> subprocess.CompletedProcess[str]:
        """`docker login` with a token."""
        return engine.login(HOST, token.username, token.password, config)

    def close(self) -> None:
        self.front.stop()
        self._process.stop()
        remove_tree(self.directory)
        self._record.directory_gone(self.directory)

    def _start_upstream(self, log_file: Path) -> int:
        port = free_port()
        settings = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.directory / "data")}, "delete": {"enabled": True}},
            "http": {"addr": f"127.0.0.1:{port}"},
        }
        file = self.directory / "registry.yml"
        file.write_text(json.dumps(settings))
        self._process.start([parts.REGISTRY, "serve", file], log=log_file, env={"PATH": "/usr/bin:/bin"})
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}/v2/"), 20, "an answer of docker-registry")
        return port


def _answers(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False
