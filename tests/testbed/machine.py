"""What the tests change on the machine itself, and how it is put back.

An address on `lo`, a line in /etc/hosts, a network bridge, and a CA under /etc/docker/certs.d. Each carries a mark of
ours, so that whoever holds the machine's lock can tell leftovers of a killed run from what belongs to others.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import subprocess
import time
from pathlib import Path
from typing import IO

from tests.testbed import parts
from tests.testbed.certificates import ORGANIZATION

LOCK = Path("/run/lock/ecr-refresher-testbed.lock")
HOSTS = Path("/etc/hosts")
CERTS = Path("/etc/docker/certs.d")
MARK = "# ecr-refresher test bed"
ADDRESS = "10.99.0.1"
LABEL = "lo:ecrtb"
BRIDGE = "ecrtb0"
BRIDGE_NETWORK = "10.99.1.1/24"


class Machine:
    """The right to change the machine: one test run holds it at a time. `close` puts everything back."""

    def __init__(self, hosts: Path = HOSTS, certs: Path = CERTS, lock: Path = LOCK, patience: float = 240) -> None:
        self._hosts = hosts
        self._certs = certs
        self._lock: IO[str] | None = _locked(lock, patience)
        self._cas: list[Path] = []
        atexit.register(self.close)
        self._put_back()

    def name_host(self, host: str) -> None:
        """Let `host` mean ADDRESS on this machine: no 'insecure' one to engines, unlike those in 127.0.0.0/8."""
        ip("addr", "add", f"{ADDRESS}/32", "dev", "lo", "label", LABEL)
        rewrite_hosts(self._hosts, [f"{ADDRESS} {host}"])

    def add_bridge(self) -> str:
        """A bridge for containers, one for all our engines; that of the machine keeps its own."""
        if _has_link(BRIDGE):
            return BRIDGE
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("addr", "add", BRIDGE_NETWORK, "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        return BRIDGE

    def trust(self, host: str, ca_file: Path) -> None:
        """Have engines trust a CA for one registry host."""
        place = self._certs / host / "ca.crt"
        if place.exists():
            raise parts.Missing(f"registry: {place} exists and is not ours")
        self._cas.append(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(ca_file.read_bytes())

    def close(self) -> None:
        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        with lock:
            self._put_back()

    def _put_back(self) -> None:
        """Remove what carries our mark, whoever left it."""
        rewrite_hosts(self._hosts, [])
        for place in self._certs.glob("*/ca.crt"):
            if place in self._cas or _is_ours(place):
                place.unlink()
                with contextlib.suppress(OSError):  # not empty, or not there: the machine's own
                    place.parent.rmdir()
                    self._certs.rmdir()
                    self._certs.parent.rmdir()
        self._cas.clear()
        if os.geteuid() == 0 and parts.IP.exists():
            if LABEL in ip("-o", "addr", "show", "dev", "lo"):
                ip("addr", "del", f"{ADDRESS}/32", "dev", "lo")
            if _has_link(BRIDGE):
                ip("link", "del", BRIDGE)


def ip(*words: str) -> str:
    """Run `ip`; a machine that doesn't let us lacks a part."""
    done = subprocess.run([str(parts.IP), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise parts.Missing(f"`ip {' '.join(words)}`: {done.stderr.strip()}")
    return done.stdout


def _has_link(name: str) -> bool:
    """Not by /sys: mounted for another network namespace, it shows that one's links."""
    return f" {name}:" in ip("-o", "link", "show")


def rewrite_hosts(path: Path, lines: list[str]) -> None:
    """Make `lines` the marked lines of a hosts file; all others stay as they are. Replaced whole where possible."""
    before = path.read_bytes()
    kept = [line for line in before.splitlines(keepends=True) if MARK.encode() not in line]
    if lines and kept and not kept[-1].endswith(b"\n"):
        kept[-1] += b"\n"
    after = b"".join(kept) + "".join(f"{line} {MARK}\n" for line in lines).encode()
    if after == before:
        return
    new = path.with_name(f"{path.name}.ecr-refresher-testbed")
    new.write_bytes(after)
    status = path.stat()
    os.chown(new, status.st_uid, status.st_gid)
    new.chmod(status.st_mode & 0o7777)
    try:
        new.replace(path)
    except OSError:  # bind-mounted, as in containers: one write, longer or shorter, in place
        new.unlink()
        with path.open("r+b", buffering=0) as file:
            file.write(after)
            file.truncate()


def _is_ours(certificate: Path) -> bool:
    from cryptography import x509

    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    except ValueError:
        return False
    return ORGANIZATION in loaded.subject.rfc4514_string()


def _locked(path: Path, patience: float) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.open("w")
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                lock.close()
                raise parts.Missing(f"another test run holds {path}") from None
            time.sleep(0.5)
        else:
            return lock
