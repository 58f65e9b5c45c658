"""Every snippet of the pages is what the program, or the tool that it is for, takes."""

from __future__ import annotations

import ast
import configparser
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecr_refresher import options
from ecr_refresher.core import wire
from ecr_refresher.job import settings
from ecr_refresher.job.settings import environment
from ecr_refresher.job.settings.schema import Settings

from .pages import PAGES, ROOT, Block, blocks, commands, prose

HOST, PARTNER = "123456789012.dkr.ecr.us-east-1.amazonaws.com", "210987654321.dkr.ecr.eu-west-1.amazonaws.com"
LANGUAGES = {"", "sh", "yaml", "json", "python", "ini", "promql", "mermaid", "toml"}
SHELL = blocks("sh")
YAML = blocks("yaml")


def of(*languages: str) -> pytest.MarkDecorator:
    found = blocks(*languages)
    return pytest.mark.parametrize("block", found, ids=[str(block) for block in found])


def test_every_block_is_of_a_kind_that_is_checked_here() -> None:
    assert {block.language for block in blocks()} <= LANGUAGES
    assert len(blocks()) > 20


# --- YAML ----------------------------------------------------------------------------------------------------------
def is_settings(document: Any) -> bool:
    return isinstance(document, dict) and bool(document) and document.keys() <= Settings.model_fields.keys()


@of("yaml")
def test_yaml_is_read_by_what_it_is_for(block: Block, tmp_path: Path) -> None:
    documents = list(yaml.safe_load_all(block.text))
    assert all(documents)
    for document in documents:
        if is_settings(document):
            must_be_settings(block.text, document, tmp_path)


def must_be_settings(text: str, document: dict[str, Any], tmp_path: Path) -> None:
    """Settings are read by their reader; a part that leaves its registries to another snippet gets two."""
    file = tmp_path / "settings.yaml"
    if "registries" not in document:
        several = "partner" in text or "docker" in document
        text = f"registries: [{HOST}{', {host: ' + PARTNER + ', name: partner}' if several else ''}]\n" + text
    file.write_text(text)
    _, warnings = settings.load(wire.Load(str(file)), {"HOME": str(tmp_path), "AWS_REGION": "us-east-1"}, euid=0)
    assert warnings == ()


def test_there_are_settings_among_the_yaml() -> None:
    assert sum(is_settings(yaml.safe_load(block.text)) for block in YAML if "---" not in block.text) > 3


# --- shell ---------------------------------------------------------------------------------------------------------
def test_shell_is_shell() -> None:
    script = "\n".join(f": {block}\n{block.text}" for block in SHELL)
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@of("sh")
def test_every_command_line_is_one_that_the_program_takes(block: Block) -> None:
    for words in commands(block.text):
        options.parse(words)  # ends the process where it is wrong


@pytest.mark.parametrize("page", PAGES)
def test_every_command_in_the_text_is_one_that_the_program_takes(page: str) -> None:
    for code in re.findall(r"`(ecr-refresher\s+[a-z][^`]*)`", prose(page)):
        if code.split()[1].isalpha() and "…" not in code and "|" not in code:
            options.parse(code.split()[1:])


def test_commands_are_found_wherever_they_stand() -> None:
    text = (
        "A=1 ecr-refresher run\ndocker exec ecr-refresher ecr-refresher status | jq\nsystemctl reload ecr-refresher\n"
    )
    assert commands(text) == [["run"], ["status"]]
    assert commands("x && ecr-refresher once \\\n  --json > f\nkubectl exec pod -c x -- ecr-refresher check\n") == [
        ["once", "--json"],
        ["check"],
    ]
    assert len([words for block in SHELL for words in commands(block.text)]) > 10


def test_every_command_is_on_the_front_page() -> None:
    (subparsers,) = (
        action for action in options.parser()._actions if hasattr(action, "choices") and action.dest == "command"
    )
    assert subparsers.choices
    front = (ROOT / "README.md").read_text()
    assert [name for name in subparsers.choices if f"ecr-refresher {name}" not in front] == []


def test_variables_in_the_pages_exist() -> None:
    known = {environment.CONFIG, *(environment.PREFIX + name for name in environment.KEYS)}
    known |= {"ECR_REFRESHER_TEST_REAL"}
    for page, path in PAGES.items():
        found = set(re.findall(r"\bECR_REFRESHER_[A-Z_]*[A-Z]\b", path.read_text()))
        assert found <= known | {"ECR_REFRESHER_PORT"}, page


def test_environments_that_are_exported_are_settings(tmp_path: Path) -> None:
    exported = [dict(re.findall(r"^export (\w+)=(.*)$", block.text, re.MULTILINE)) for block in SHELL]
    found = [environ for environ in exported if any(name.startswith(environment.PREFIX) for name in environ)]
    assert found
    for environ in found:
        _, warnings = settings.load(wire.Load(), {"HOME": str(tmp_path), **environ})
        assert warnings == ()


# --- the rest ------------------------------------------------------------------------------------------------------
@of("json")
def test_json_is_json_or_a_part_of_an_object(block: Block) -> None:
    try:
        json.loads(block.text)
    except ValueError:
        json.loads("{" + block.text + "}")


@of("python")
def test_python_is_python(block: Block) -> None:
    ast.parse(block.text)


@of("ini")
def test_ini_is_ini(block: Block) -> None:
    configparser.ConfigParser(strict=True, interpolation=None).read_string(block.text)
