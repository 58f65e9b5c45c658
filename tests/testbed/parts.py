"""Which real parts this machine has, where they are, and the one rule about a missing one.

On a user's machine a missing part is a skip with its reason; in CI, or under ECR_REFRESHER_TEST_REAL=1, a failure.
Standard library only at import: `prepare.py` runs before anything is installed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

REPOSITORY = Path(__file__).resolve().parents[2]
TESTBED = REPOSITORY / ".testbed"
WHEELS = TESTBED / "wheels"
LOCKS = Path(__file__).resolve().parent

# The Debian paths, not whatever stands first on PATH: a newer `docker` there may not speak to this engine.
DOCKERD = Path("/usr/sbin/dockerd")
DOCKER = Path("/usr/bin/docker")
REGISTRY = Path("/usr/bin/docker-registry")
BUSYBOX = Path("/bin/busybox")
IP = Path("/bin/ip")
PROMETHEUS = Path("/usr/bin/prometheus")
PROMTOOL = Path("/usr/bin/promtool")
COMPOSE = Path("/usr/bin/docker-compose")
DEBOOTSTRAP = Path("/usr/sbin/debootstrap")
CHROMIUM = Path("/usr/bin/chromium")
PODMAN = Path("/usr/bin/podman")
SKOPEO = Path("/usr/bin/skopeo")
ETCD = Path("/usr/bin/etcd")
# Outside the repository: it takes four minutes to build, and every clone can use it.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ecr-refresher-testbed"
API_SERVER = CACHE / "kube-apiserver-1.20.2"


class Missing(Exception):
    """A real part can't be had here; the text says which and why."""


def real_is_required() -> bool:
    """True where a missing part must fail the run: in any CI, and where somebody asks for it."""
    return bool(os.environ.get("CI")) or os.environ.get("ECR_REFRESHER_TEST_REAL") == "1"


def give_up(reason: str) -> NoReturn:
    """Skip the test for the lack of a real part, or fail it where real parts are required."""
    import pytest

    if real_is_required():
        pytest.fail(f"real part missing, and CI or ECR_REFRESHER_TEST_REAL=1 is set: {reason}", pytrace=False)
    pytest.skip(f"real part missing: {reason}")


def missing_engine() -> str | None:
    """Why no engine of our own can be started, or None."""
    if os.geteuid() != 0:
        return "engine: starting dockerd needs root"
    absent = [str(path) for path in (DOCKERD, DOCKER, BUSYBOX, IP) if not path.exists()]
    if absent:
        return f"engine: {', '.join(absent)} not there; run `make prepare` as root on Debian"
    return None


def missing_prometheus() -> str | None:
    """Why there is no Prometheus, or None."""
    absent = [str(path) for path in (PROMETHEUS, PROMTOOL) if not path.exists()]
    return f"prometheus: {', '.join(absent)} not there; run `make prepare` as root on Debian" if absent else None


def missing_browser() -> str | None:
    """Why no Chromium can be started, or None."""
    return None if CHROMIUM.exists() else f"browser: {CHROMIUM} not there; run `make prepare` as root on Debian"


def missing_kubernetes() -> str | None:
    """Why no Kubernetes API server can be started, or None."""
    absent = [str(path) for path in (ETCD, API_SERVER) if not path.exists()]
    return f"kubernetes: {', '.join(absent)} not there; run `make prepare` as root on Debian" if absent else None


def missing_registry() -> str | None:
    """Why no registry can be had under the name of an ECR host, or None."""
    if os.geteuid() != 0:
        return "registry: port 443, /etc/hosts and an address on lo need root"
    absent = [str(path) for path in (REGISTRY, IP) if not path.exists()]
    if absent:
        return f"registry: {', '.join(absent)} not there; run `make prepare` as root on Debian"
    return None
