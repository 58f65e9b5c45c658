"""The image's packages are locked, and the lock is up to date."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "deploy" / "image"


def locked(name: str) -> dict[str, str]:
    """Name to version; every entry must have a hash."""
    entries = re.split(r"^(?=[a-z])", (IMAGE / name).read_text(), flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
    return dict(re.match(r"([\w.-]+)==([\w.]+)", entry).groups() for entry in entries)  # type: ignore[union-attr,misc]


def wanted() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["kubernetes"]]


@pytest.mark.parametrize("dependency", wanted())
def test_every_dependency_is_locked_at_a_version_that_will_do(dependency: str) -> None:
    requirement = Requirement(dependency)
    version = locked("requirements.lock").get(requirement.name)
    assert version is not None, "run `make lock`"
    assert requirement.specifier.contains(version), "run `make lock`"


def test_what_builds_the_image_is_locked_too() -> None:
    assert set((IMAGE / "tools.in").read_text().split()) <= locked("tools.lock").keys()


def test_the_lock_names_no_index() -> None:
    assert all("://" not in path.read_text() for path in IMAGE.glob("*.lock"))
