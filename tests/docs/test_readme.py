"""What README shows is what the program takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ecr_refresher import cli
from ecr_refresher.core import wire
from ecr_refresher.job import settings

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_the_settings_file_of_readme_is_accepted(tmp_path: Path) -> None:
    shown = next(block for block in blocks("yaml") if block.startswith("registries:"))
    file = tmp_path / "settings.yaml"
    file.write_text(shown)
    plan, warnings = settings.load(wire.Load(str(file)), {"HOME": str(tmp_path)})
    assert {slot.sink for slot in plan.slots()} == {
        "airflow/default/docker_default",
        "airflow/default/docker_partner",
        "docker//home/airflow/.docker/config.json",
    }
    assert warnings == ()


def test_every_settings_file_of_readme_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    for shown in blocks("yaml"):
        if shown.startswith("registries:"):
            file.write_text(shown)
            settings.load(wire.Load(str(file)), {"HOME": str(tmp_path)})


def test_the_environment_of_the_sidecar_is_accepted() -> None:
    (shown,) = (block for block in blocks("sh") if "ECR_REFRESHER_AIRFLOW_URL" in block)
    environ = dict(re.findall(r"^export (\w+)=(.*)$", shown, re.MULTILINE))
    plan, warnings = settings.load(wire.Load(), environ)
    assert [slot.sink for slot in plan.slots()] == [
        "docker//home/airflow/.docker/config.json",
        "airflow/default/docker_default",
    ]
    assert warnings == ()


@pytest.mark.parametrize("command", ["run", "once", "check", "status", "demo"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert "--config" in capsys.readouterr().out


def test_make_targets_that_readme_names_exist() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    for target in re.findall(r"^    make (\w+)$", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
