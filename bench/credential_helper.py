"""amazon-ecr-credential-helper, as Debian packages it: a token by AWS's SDK for Go, at each pull; no delivery.

It knows no endpoint but AWS's own, so it is led to the stand-in by a proxy.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.testbed import parts
from tests.testbed.certificates import CertificateAuthority
from tests.testbed.registry import HOST
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.tokens import TokenBook

PACKAGE = "amazon-ecr-credential-helper"
PLACE = parts.TESTBED / "credential-helper"
PROGRAM = PLACE / "usr" / "bin" / "docker-credential-ecr-login"
API = f"api.ecr.{HOST.split('.')[3]}.amazonaws.com"


def prepared() -> Path | None:
    """The program, out of Debian's package where that can be had; it is not installed. None where it can't be had."""
    if not PROGRAM.exists():
        PLACE.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(["apt-get", "download", PACKAGE], cwd=PLACE, stdout=sys.stderr, check=True)
            (package,) = PLACE.glob("*.deb")
            subprocess.run(["dpkg-deb", "--extract", str(package), str(PLACE)], check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
    return PROGRAM


@contextlib.contextmanager
def surroundings(directory: Path, book: TokenBook, environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """An environment in which it meets a stand-in of ECR, and keeps no token."""
    authority = CertificateAuthority(directory / "helper-ca")
    with EcrStandIn(book, tls=authority.issue(API)) as ecr, _proxy(ecr.port) as proxy:
        yield {
            "PATH": environment["PATH"],
            "HOME": str(directory),
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "of-no-worth-here",
            "AWS_ECR_DISABLE_CACHE": "true",
            "HTTPS_PROXY": proxy,
            "SSL_CERT_FILE": str(authority.ca_file),
        }


def command(program: Path) -> list[str]:
    """Ask it as docker does before a pull."""
    return ["/bin/sh", "-c", f"echo {HOST} | exec {program} get"]


@contextlib.contextmanager
def _proxy(port: int) -> Iterator[str]:
    """A proxy that leads every CONNECT to one port of this machine."""

    class Tunnel(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            head = b""
            while b"\r\n\r\n" not in head:
                head += self.request.recv(4096)
            with socket.create_connection(("127.0.0.1", port)) as other:
                self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=_pass_on, args=(other, self.request), daemon=True)
                back.start()
                _pass_on(self.request, other)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Tunnel) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
