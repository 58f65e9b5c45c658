"""Prepare what real parts this machine can have, into .testbed/ and by apt. One line for each part.

Run as `python -m tests.testbed.prepare` (or `make prepare`). What is ready already costs nothing.
Exit status 1 only in CI or under ECR_REFRESHER_TEST_REAL=1, if a part could not be had.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.testbed import parts, prepare_helm, prepare_images, prepare_kubernetes
from tests.testbed.airflow_flavours import EVERY, Flavour

POLICY = Path("/usr/sbin/policy-rc.d")
OURS = "# put here by ecr-refresher's test bed for the time of one apt-get"
PACKAGES = {
    "docker.io": parts.DOCKERD,
    "docker-registry": parts.REGISTRY,
    "iptables": Path("/usr/sbin/iptables"),
    "busybox-static": parts.BUSYBOX,
    "debootstrap": parts.DEBOOTSTRAP,
    "iproute2": parts.IP,
    "prometheus": parts.PROMETHEUS,
    "docker-compose": parts.COMPOSE,
    "chromium": parts.CHROMIUM,
    "podman": parts.PODMAN,
    "skopeo": parts.SKOPEO,
    "fonts-dejavu-core": Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    "ca-certificates": Path("/etc/ssl/certs/ca-certificates.crt"),
    **prepare_kubernetes.PACKAGES,
}


def main() -> int:
    parts.TESTBED.mkdir(exist_ok=True)
    versions = dict.fromkeys(flavour.version for flavour in EVERY)
    wanted: dict[str, Callable[[], str]] = {f"airflow {version}": partial(airflow, version) for version in versions}
    wanted["engine and registry"] = engine_and_registry
    for each in prepare_helm.HELMS:
        wanted[f"helm {each.version}"] = partial(prepare_helm.helm, each, run)
    wanted["base of the image"] = partial(root_file_system, prepare_images.PYTHON)
    wanted["systemd"] = partial(root_file_system, prepare_images.SYSTEMD)
    wanted["kubernetes"] = kubernetes
    wanted["wheels"] = partial(prepare_images.wheels, run)
    with (
        one_at_a_time(parts.TESTBED / "prepare.lock"),
        ThreadPoolExecutor(os.cpu_count() or 2) as side_by_side,  # migrations are one core's work each
    ):
        return 1 if not all(side_by_side.map(prepared, wanted, wanted.values())) and parts.real_is_required() else 0


def prepared(name: str, prepare: Callable[[], str]) -> bool:
    """Prepare one part and say what came of it; False if it could not be had."""
    started = time.monotonic()
    try:
        what = prepare()
    except parts.Missing as missing:
        print(f"{name}: skipped: {missing}", flush=True)
        return False
    print(f"{name}: ready: {what} ({time.monotonic() - started:.1f} s)", flush=True)
    return True


@contextlib.contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; a second preparation waits for the first."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(*command: str | Path, env: dict[str, str] | None = None, within: float = 600) -> None:
    """Run a command quietly; its last lines are the reason if it fails."""
    try:
        done = subprocess.run(
            [str(word) for word in command],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=within,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise parts.Missing(f"{Path(command[0]).name}: {type(error).__name__}") from error
    if done.returncode:
        last = " | ".join(line.strip() for line in done.stdout.strip().splitlines()[-4:])
        raise parts.Missing(f"`{Path(command[0]).name} {command[1]}` ended with {done.returncode}: {last[-600:]}")


# --- Airflow, each version in a virtual environment of its own


def airflow(version: str) -> str:
    """Install one locked Airflow, and migrate an empty database for each way of logging in, for all runs to copy."""
    flavours = [flavour for flavour in EVERY if flavour.version == version]
    first = flavours[0]
    what = f"Airflow {version} in {first.venv.relative_to(parts.REPOSITORY)}"
    stamp = hashlib.sha256(first.lock.read_bytes() + sys.version.encode()).hexdigest()
    if first.ready.exists() and first.ready.read_text() == stamp and all(each.database.exists() for each in flavours):
        return what
    shutil.rmtree(first.venv, ignore_errors=True)
    for flavour in flavours:
        flavour.database.unlink(missing_ok=True)
    base = getattr(sys, "_base_executable", sys.executable)
    python = first.venv / "bin" / "python"
    if importlib.util.find_spec("uv"):
        uv = (sys.executable, "-m", "uv")
        run(*uv, "venv", "--quiet", "--python", base, first.venv)
        install: tuple[str | Path, ...] = (*uv, "pip", "install", "--quiet", "--python", python)
    else:
        run(base, "-m", "venv", first.venv)
        install = (python, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check")
    # Bytecode is made of what gets imported, by the first to import it: all of it would take a minute for each.
    run(*install, "-r", first.lock)
    for flavour in flavours:
        migrate_database(flavour)
    first.ready.write_text(stamp)
    return what


def migrate_database(flavour: Flavour) -> None:
    from tests.testbed.airflow_settings import airflow_environment

    command = flavour.venv / "bin" / "airflow"
    with tempfile.TemporaryDirectory(prefix="ecrtb-") as home:
        env = airflow_environment(Path(home), flavour)
        run(command, "db", "migrate", env=env)
        if flavour.auth != "simple":
            names = ("--firstname", "Ann", "--lastname", "Admin", "--email", "admin@example.com")
            words = ("--username", "admin", "--role", "Admin", "--use-random-password", *names)
            run(command, "users", "create", *words, env=env)
        # A plain copy is whole: no process has the database open any more.
        fresh = flavour.database.with_suffix(".new")
        shutil.copyfile(Path(home) / "airflow.db", fresh)
        fresh.replace(flavour.database)


# --- engine and registry, from Debian

APT = threading.Lock()


def root_file_system(wanted: prepare_images.RootFileSystem) -> str:
    """Make one as soon as debootstrap is there."""
    if not wanted.archive.exists():
        engine_and_registry()
    return prepare_images.root_file_system(wanted, run)


def kubernetes() -> str:
    """Build the API server as soon as its packages are there."""
    if parts.missing_kubernetes():
        engine_and_registry()
    return prepare_kubernetes.api_server(run)


def engine_and_registry() -> str:
    """Install what is missing of the engine, the registry, Prometheus, Chromium and their helpers; start no service."""
    with APT:
        return install_packages()


def install_packages() -> str:
    absent = sorted(name for name, path in PACKAGES.items() if not path.exists())
    if not absent:
        return "docker.io, docker-registry, prometheus, chromium"
    if os.geteuid() != 0:
        raise parts.Missing(f"{', '.join(absent)}: installing needs root")
    if not shutil.which("apt-get"):
        raise parts.Missing(f"{', '.join(absent)}: no apt-get here, this is no Debian")
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
    # --no-upgrade: what the machine has stays as it is.
    options = ("-y", "-q", "--no-install-recommends", "--no-upgrade", "-o", "DPkg::Lock::Timeout=300")
    with no_services_started():
        for refresh in (False, True):
            if refresh:
                # One unreachable source among several must not keep us from the others.
                with contextlib.suppress(parts.Missing):
                    run("apt-get", "update", "-q", "-o", "DPkg::Lock::Timeout=300", env=env)
            try:
                run("apt-get", "install", *options, *absent, env=env)
                break
            except parts.Missing:
                if refresh:
                    raise
    still = [str(path) for path in PACKAGES.values() if not path.exists()]
    if still:
        raise parts.Missing(f"installed, but not there: {', '.join(still)}")
    return f"installed {', '.join(absent)}"


@contextlib.contextmanager
def no_services_started() -> Iterator[None]:
    """Forbid packages to start their services, as Debian's policy-rc.d does; a rule of the machine's own stays."""
    if POLICY.exists() and OURS in POLICY.read_text(errors="replace"):
        POLICY.unlink()  # left by a killed run
    if POLICY.exists():
        yield
        return
    POLICY.write_text(f"#!/bin/sh\n{OURS}\nexit 101\n")
    try:
        POLICY.chmod(0o755)
        yield
    finally:
        POLICY.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
