"""The front page: its two ways to the same settings, its make targets, and every command there is."""

from __future__ import annotations

import re

import pytest

from ecr_refresher import options
from ecr_refresher.job.settings import environment
from tests.unit.job import settings_reader

from .pages import PAGES, ROOT, blocks

FRONT = PAGES["README.md"].read_text()
OF_FRONT = [block for block in blocks() if block.page == "README.md"]


def test_the_settings_file_does_what_the_text_says() -> None:
    (shown,) = (block.text for block in OF_FRONT if block.language == "yaml")
    plan, warnings = settings_reader.load(shown)
    assert [slot.sink for slot in plan.slots] == [
        "docker//home/airflow/.docker/config.json",
        "docker//home/airflow/.docker/config.json",
        "airflow/default/docker_default",
        "airflow/default/docker_partner",
    ]
    assert warnings == ()


def test_the_environment_does_what_the_text_says() -> None:
    (shown,) = (block.text for block in OF_FRONT if environment.PREFIX in block.text)
    environ = dict(re.findall(r"^export (\w+)=(.*)$", shown, re.MULTILINE))
    plan, warnings = settings_reader.load(None, environ)
    assert [slot.sink for slot in plan.slots] == [
        "docker//home/airflow/.docker/config.json",
        "airflow/default/docker_default",
    ]
    assert warnings == ()


def commands() -> list[str]:
    (choices,) = (action.choices for action in options.parser()._actions if action.dest == "command")
    assert choices
    return [str(name) for name in choices]


def test_every_command_is_there() -> None:
    assert [name for name in commands() if f"`ecr-refresher {name}" not in FRONT] == [], (
        "add it to the table of commands"
    )


@pytest.mark.parametrize("command", commands())
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        options.parse([command, "--help"])
    assert ended.value.code == 0
    assert "example" in capsys.readouterr().out


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^    make (\w+)$", FRONT, re.MULTILINE)
    assert len(targets) > 1
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
