"""The project's own habits: releases that agree with themselves, workflows with few rights, one set of linters."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import release
from tests.release import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


# --- releases --------------------------------------------------------------------------------------------------------
@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what a release consists of, made ready for 0.1.0."""
    for path in ("pyproject.toml", "CHANGELOG.md", "ecr_refresher/__init__.py", *release.COPIED):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy
        copy(ROOT / path, tmp_path / path)
    change(tmp_path / "CHANGELOG.md", "## [Unreleased]\n", "## [Unreleased]\n\n## [0.1.0] - 2026-12-24\n")
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_everything_agrees_today() -> None:
    assert list(release.disagreements()) == []


def test_a_release_that_is_complete_has_notes(tree: Path) -> None:
    assert list(release.disagreements(tree, "v0.1.0")) == []
    assert release.notes(tree, "0.1.0").startswith("### Added")


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        ("ecr_refresher/__init__.py", '"0.1.0"', '"0.2.0"', "appVersion is 0.1.0, and ecr_refresher/__init__.py says"),
        ("helm/ecr-refresher/Chart.yaml", 'appVersion: "0.1.0"', 'appVersion: "0.0.9"', "appVersion is 0.0.9"),
        ("helm/ecr-refresher/Chart.yaml", "\nversion: 0.1.0", "\nversion: 0.0.9", "Chart.yaml: version is 0.0.9"),
        ("CHANGELOG.md", "## [0.1.0] - 2026-12-24\n", "", "CHANGELOG.md: there is no section [0.1.0]"),
        ("CHANGELOG.md", "[0.1.0] - 2026-12-24", "[0.1.0]", "CHANGELOG.md: [0.1.0] has no date"),
        ("CHANGELOG.md", "[0.1.0]", "[0.2.0]", "CHANGELOG.md: its newest version is 0.2.0"),
        (
            "docs/one-shot.md",
            "ecr-refresher:0.1.0",
            "ecr-refresher:0.0.9",
            "docs/one-shot.md: the image's tag is 0.0.9",
        ),
        ("deploy/ecs/task-definition.json", "ecr-refresher:0.1.0", "ecr-refresher:1.0", "the image's tag is 1.0"),
        (
            "helm/ecr-refresher/files/alerts.yaml",
            "github.com/ecr-refresher/",
            "github.com/other/",
            "is not the repository",
        ),
    ],
)
def test_what_disagrees_is_named(tree: Path, path: str, old: str, new: str, said: str) -> None:
    change(tree / path, old, new)
    assert any(said in line for line in release.disagreements(tree, "v0.1.0"))


def test_another_tag_is_another_release(tree: Path) -> None:
    assert list(release.disagreements(tree, "v0.2.0")) == [
        "the tag is v0.2.0, and ecr_refresher/__init__.py says 0.1.0"
    ]


def test_the_repository_s_address_is_put_into_all_files_from_one_place(tree: Path) -> None:
    change(tree / "pyproject.toml", "github.com/ecr-refresher/", "github.com/example/")
    assert any("alerts.yaml" in line for line in release.disagreements(tree, "v0.1.0"))
    release.write(tree)
    assert list(release.disagreements(tree, "v0.1.0")) == []
    assert (
        "https://github.com/example/ecr-refresher/blob" in (tree / "helm/ecr-refresher/files/alerts.yaml").read_text()
    )


# --- workflows -------------------------------------------------------------------------------------------------------
def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            yield f"{path.stem}/{name}", job


def test_every_action_is_pinned_by_its_commit_and_names_its_version() -> None:
    used = [line for path in WORKFLOWS for line in path.read_text().splitlines() if "uses:" in line]
    assert len(used) > 10
    for line in used:
        assert re.search(r"uses: (\./\S+( # zizmor: .*)?|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$", line), line


def test_workflows_have_no_rights_of_their_own_and_each_job_few() -> None:
    assert all(yaml.safe_load(path.read_text())["permissions"] == {} for path in WORKFLOWS)
    rights = {name: {key for key, value in job["permissions"].items() if value == "write"} for name, job in jobs()}
    assert {name: writes for name, writes in rights.items() if writes} == {
        "release/pypi": {"id-token"},
        "release/image": {"id-token", "packages"},
        "release/chart": {"id-token", "packages"},
        "release/github": {"id-token", "contents"},
    }


def test_a_release_publishes_nothing_before_all_tests_have_passed() -> None:
    every = dict(jobs())

    def before(name: str) -> set[str]:
        needs = every[f"release/{name}"].get("needs", [])
        direct = {needs} if isinstance(needs, str) else set(needs)
        return direct.union(*map(before, direct))

    for name in ("pypi", "image", "chart", "github"):
        assert {"tests", "build"} <= before(name)
    assert every["release/tests"]["uses"] == "./.github/workflows/tests.yml"


def test_the_workflow_for_tests_runs_what_ci_runs() -> None:
    ci = re.findall(r"^make (\w+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    runs = " ".join(str(step.get("run")) for name, job in jobs() if name.startswith("tests/") for step in job["steps"])
    assert set(re.findall(r"make (\w+)", runs)) == set(ci) == {"lint", "test", "lowest"}


def test_pre_commit_has_the_linters_of_make_lint() -> None:
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    linters = {line.partition(" ")[0] for line in re.findall(r"\$\(BIN\)/(.*)", recipe[1])}
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert {hook["entry"].removeprefix(".venv/bin/").partition(" ")[0] for hook in hooks} == linters
    assert linters == {"ruff", "mypy", "zizmor", "python"}
