"""What must agree before a release: `python -m tests.release`, with `--tag v1.2.3` for a release of that tag.

Version, chart, CHANGELOG, the image's tag in docs and examples, the repository's address. Exits with 1 and says what
disagrees. `--notes` prints the release notes. `--write` puts the address in pyproject.toml into all other files.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
COPIED = (".github", "CONTRIBUTING.md", "Dockerfile", "README.md", "SECURITY.md", "deploy", "docs", "examples", "helm")
TAGGED = re.compile(r"(?:^|[/\s\"'=])ecr-refresher:(\d[\w.-]*)", re.MULTILINE)  # an image
SECTION = re.compile(r"(?ms)^## \[(?P<name>[^]]+)\](?: - (?P<date>\d{4}-\d\d-\d\d))?\n(?P<text>.*?)(?=^## |\Z)")
OURS = re.compile(r"https://github\.com/[\w.-]+/ecr-refresher(?![\w.-])")


def disagreements(root: Path = ROOT, tag: str | None = None) -> Iterator[str]:
    """What does not agree, a line each."""
    version = _version(root)
    chart = yaml.safe_load((root / "helm/ecr-refresher/Chart.yaml").read_text())
    for key in ("version", "appVersion"):
        if chart[key] != version:
            yield f"helm/ecr-refresher/Chart.yaml: {key} is {chart[key]}, and ecr_refresher/__init__.py says {version}"
    sections = {section["name"]: section for section in SECTION.finditer((root / "CHANGELOG.md").read_text())}
    names = list(sections)
    if names[:1] != ["Unreleased"]:
        yield "CHANGELOG.md: it does not begin with [Unreleased]"
    if names[1:] and (tag or not sections["Unreleased"]["text"].strip()) and names[1] != version:
        yield f"CHANGELOG.md: its newest version is {names[1]}, and ecr_refresher/__init__.py says {version}"
    yield from (f"CHANGELOG.md: [{name}] has no date" for name in names[1:] if not sections[name]["date"])
    if tag is not None:
        if tag != f"v{version}":
            yield f"the tag is {tag}, and ecr_refresher/__init__.py says {version}"
        if version not in sections:
            yield f"CHANGELOG.md: there is no section [{version}] - YYYY-MM-DD"
    address = _address(root)
    for path, text in _texts(root):
        for other in sorted({found for found in TAGGED.findall(text) if found != version}):
            yield f"{path}: the image's tag is {other}, and ecr_refresher/__init__.py says {version}"
        for other in sorted({found for found in OURS.findall(text) if found != address}):
            yield f"{path}: {other} is not the repository of pyproject.toml. Run `python -m tests.release --write`"


def notes(root: Path, version: str) -> str:
    """The section of a version in CHANGELOG.md. Raises LookupError."""
    for section in SECTION.finditer((root / "CHANGELOG.md").read_text()):
        if section["name"] == version:
            return section["text"].strip()
    raise LookupError(version)


def write(root: Path = ROOT) -> None:
    """Put the repository's address into all files."""
    address = _address(root)
    for path, text in _texts(root):
        if (changed := OURS.sub(address, text)) != text:
            (root / path).write_text(changed)


def _version(root: Path) -> str:
    (version,) = re.findall(
        r'^__version__ = "([^"]+)"$', (root / "ecr_refresher/__init__.py").read_text(), re.MULTILINE
    )
    return str(version)


def _address(root: Path) -> str:
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["urls"]["Repository"])


def _texts(root: Path) -> Iterator[tuple[str, str]]:
    """The files that people copy from; CHANGELOG.md is not one of them."""
    for top in COPIED:
        for path in sorted([root / top, *(root / top).rglob("*")]):
            if path.is_file() and not path.is_symlink():
                yield str(path.relative_to(root)), path.read_text(errors="replace")


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.release", description="checks that a release is complete")
    parser.add_argument("--tag", help="the release's tag, for example v0.2.0")
    parser.add_argument("--notes", action="store_true", help="print the release notes")
    parser.add_argument("--write", action="store_true", help="put the repository's address everywhere")
    given = parser.parse_args(words)
    if given.write:
        write()
    found = list(disagreements(ROOT, given.tag))
    for line in found:
        print(line, file=sys.stderr)
    if given.notes and not found:
        print(notes(ROOT, (given.tag or f"v{_version(ROOT)}").removeprefix("v")))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
