"""Build step of the image: make its virtual environment small and quick to start. Run by that environment's Python.

Removes the models of AWS services and the Kubernetes APIs that the product does not call, how pygments reads programs,
and type information, and compiles what is left.
"""

from __future__ import annotations

import compileall
import py_compile
import shutil
import sys
import sysconfig
from pathlib import Path

# What the product calls, and what botocore calls by itself to find credentials: for a role, a web identity, SSO or a
# login by browser. tests/deploy/test_services.py reads both codes and says what is missing here.
SERVICES = frozenset(
    {"ecr", "ecr-public", "mwaa", "secretsmanager", "ssm", "sts"}
    | {"signin", "sso", "sso-oidc"}
)  # fmt: skip

KUBERNETES_APIS = {
    "core_v1": "CoreV1Api",
    "authentication_v1": "AuthenticationV1Api",
    "authorization_v1": "AuthorizationV1Api",
    "version": "VersionApi",
}


def prune_services(packages: Path) -> None:
    """Keep of botocore's models those of SERVICES; of boto3's, which only its resources need, none."""
    shutil.rmtree(packages / "boto3" / "data")
    kept = set()
    for service in (packages / "botocore" / "data").iterdir():
        if service.name in SERVICES:
            kept.add(service.name)
        elif service.is_dir():
            shutil.rmtree(service)
    if kept != SERVICES:
        sys.exit(f"botocore has no model of {', '.join(sorted(SERVICES - kept))}")


def prune_kubernetes(packages: Path) -> None:
    """Keep of the Kubernetes client the APIs in KUBERNETES_APIS; it imports an API at its first use."""
    client = packages / "kubernetes" / "client"
    shutil.rmtree(packages / "kubernetes" / "aio")
    for api in (client / "api").glob("*_api.py"):
        if api.name.removesuffix("_api.py") not in KUBERNETES_APIS:
            api.unlink()
    from kubernetes import client as left

    for name in KUBERNETES_APIS.values():
        getattr(left, name)


def prune_pygments(packages: Path) -> None:
    """Remove how it reads programs: rich loads it to show code and tracebacks, which the product never does."""
    shutil.rmtree(packages / "pygments" / "lexers")


def prune_types(packages: Path) -> None:
    """Remove what only type checkers and people read."""
    for pattern in ("**/*.pyi", "**/*.pyx", "**/*.c", "**/*.h"):
        for path in packages.glob(pattern):
            path.unlink()


def main() -> None:
    packages = Path(sysconfig.get_path("purelib"))
    prune_services(packages)
    prune_kubernetes(packages)
    prune_pygments(packages)
    prune_types(packages)
    # Hashes that nobody checks: the files never change, and tools that rewrite times in images can't make them stale.
    how = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(packages, quiet=1, workers=0, invalidation_mode=how):
        sys.exit("some modules could not be compiled")


if __name__ == "__main__":
    main()
