"""What the product's image and systemd are tried on: root file systems of Debian, and the wheels to install from.

All of it comes from the network now, so that the tests need none: they build on an engine that may have no way out.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import parts

Run = Callable[..., None]
LOCKS = [parts.REPOSITORY / "deploy" / "image" / name for name in ("requirements.lock", "tools.lock")]
LEFT_OUT = ("./dev/*", "./proc/*", "./sys/*", "./var/cache/apt/*", "./var/lib/apt/lists/*", "./usr/share/doc/*",
            "./usr/share/man/*", "./usr/share/locale/*")  # fmt: skip


@dataclass(frozen=True)
class RootFileSystem:
    """A minimal Debian, as a tar file that an engine can import."""

    suite: str
    packages: tuple[str, ...]
    python: str
    left_out: tuple[str, ...] = ()

    @property
    def archive(self) -> Path:
        recipe = hashlib.sha256(repr((self, LEFT_OUT)).encode()).hexdigest()[:8]
        return parts.TESTBED / f"debian-{self.suite}-{recipe}.tar"

    def missing(self) -> str | None:
        """Why it can't be had, or None."""
        if not self.archive.exists():
            return f"image: no {self.archive.name} in {parts.TESTBED}; run `make prepare` as root on Debian"
        return None


# Stands for the official Python image that the Dockerfile begins with, which comes from a registry out of reach. That
# one has no bytecode of the standard library either.
PYTHON = RootFileSystem("trixie", ("python3", "python3-venv", "ca-certificates"), "3.13", ("__pycache__",))
# Its systemd is 252, the one of Amazon Linux 2023 too.
SYSTEM = ("procps", "passwd", "systemd", "systemd-sysv", "dbus", "libnss-systemd")
SYSTEMD = RootFileSystem("bookworm", (*PYTHON.packages, *SYSTEM), "3.11")


def root_file_system(wanted: RootFileSystem, run: Run) -> str:
    """Have debootstrap make it, unless it is there."""
    what = wanted.archive.name
    if wanted.archive.exists():
        return what
    if os.geteuid() != 0:
        raise parts.Missing("making a root file system needs root")
    for old in parts.TESTBED.glob(f"debian-{wanted.suite}-*.tar"):
        old.unlink()
    with tempfile.TemporaryDirectory(prefix="ecrtb-") as directory:
        root, new = Path(directory, "root"), Path(directory, "new.tar")
        root.mkdir()
        # Mounts of its own: what it mounts within `root` goes with it, whatever ends it.
        apart = ("unshare", "--mount", "--propagation", "private")
        included = f"--include={','.join(wanted.packages)}"
        run(*apart, parts.DEBOOTSTRAP, "--variant=minbase", included, wanted.suite, root, within=1200)
        run("tar", "-C", root, *(f"--exclude={name}" for name in LEFT_OUT + wanted.left_out), "-cf", new, ".")
        shutil.move(new, wanted.archive)
    return what


# --- a package index, as a directory that any HTTP server can serve


def wheels(run: Run) -> str:
    """Download the wheels of both locks for both Pythons, laid out as an index."""
    stamp = hashlib.sha256(b"".join(lock.read_bytes() for lock in LOCKS) + sys.version.encode()).hexdigest()
    ready = parts.WHEELS / ".ready"
    what = str(parts.WHEELS.relative_to(parts.REPOSITORY))
    if ready.exists() and ready.read_text() == stamp:
        return what
    shutil.rmtree(parts.WHEELS, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="ecrtb-") as directory:

        def fetch(lock: Path, python: str) -> None:
            machine = platform.machine()
            names = [f"manylinux_2_{minor}_{machine}" for minor in range(17, 37)] + [f"manylinux2014_{machine}"]
            platforms = [word for name in names for word in ("--platform", name)]
            for_python = ("--python-version", python, "--implementation", "cp", "--only-binary", ":all:", *platforms)
            download = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps")
            run(*download, "--require-hashes", *for_python, "--dest", directory, "-r", lock)

        with ThreadPoolExecutor(4) as side_by_side:
            jobs = [(lock, system.python) for system in (PYTHON, SYSTEMD) for lock in LOCKS]
            list(side_by_side.map(fetch, *zip(*jobs, strict=True)))
        for wheel in Path(directory).glob("*.whl"):
            project = re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()
            (parts.WHEELS / project).mkdir(parents=True, exist_ok=True)
            shutil.move(wheel, parts.WHEELS / project / wheel.name)
    ready.write_text(stamp)
    return what
