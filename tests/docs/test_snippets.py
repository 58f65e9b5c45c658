"""Every snippet of the pages is what the program, or the tool that it is for, takes."""

from __future__ import annotations

import ast
import configparser
import json
import re
import subprocess
from typing import Any

import pytest
import yaml

from ecr_refresher import options
from ecr_refresher.job.settings import environment
from ecr_refresher.job.settings.schema.sections import Settings
from tests.unit.job import settings_reader
from tests.unit.job.settings_reader import HOST, PARTNER

from .pages import PAGES, ROOT, Block, blocks, commands, prose

LANGUAGES = {"", "sh", "yaml", "json", "python", "ini", "promql", "mermaid", "toml"}
LANGUAGES |= {"gotemplate"}  # rendered by the tests of the chart
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
def test_yaml_is_read_by_what_it_is_for(block: Block) -> None:
    documents = list(yaml.safe_load_all(block.text))
    assert all(documents)
    for document in documents:
        if is_settings(document):
            must_be_settings(block.text, document)
        elif isinstance(document, dict) and "config" in document:  # values of the chart
            must_be_settings(yaml.safe_dump(document["config"]), document["config"])


def must_be_settings(text: str, document: dict[str, Any]) -> None:
    """Settings are read by their reader; a part that leaves its registries to another snippet gets two."""
    if "registries" not in document:
        several = "partner" in text or "docker" in document
        text = f"registries: [{HOST}{', {host: ' + PARTNER + ', name: partner}' if several else ''}]\n" + text
    _, warnings = settings_reader.load(text, euid=0)
    assert warnings == ()


def test_there_are_settings_among_the_yaml() -> None:
    assert sum(is_settings(yaml.safe_load(block.text)) for block in YAML if "---" not in block.text) > 3


def test_settings_files_in_the_repository_are_settings() -> None:
    """Those of the examples, wherever they lie; the JSON Schema is held against them as well."""
    files = [file for folder in ("examples", "deploy", "helm") for file in (ROOT / folder).rglob("*settings*/*.yaml")]
    assert len(files) > 4
    for file in files:
        settings_reader.load(file.read_bytes(), euid=0)


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


def test_variables_in_the_pages_exist() -> None:
    known = {environment.CONFIG, *(environment.PREFIX + name for name in environment.KEYS)}
    known |= {"ECR_REFRESHER_TEST_REAL"}
    for page, path in PAGES.items():
        found = set(re.findall(r"\bECR_REFRESHER_[A-Z_]*[A-Z]\b", path.read_text()))
        assert found <= known | {"ECR_REFRESHER_PORT"}, page


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
