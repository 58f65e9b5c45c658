"""The settings file: YAML whose scalars stay texts, bounded, each key once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecr_refresher.core.wire import Load
from ecr_refresher.job import settings
from ecr_refresher.job.settings import yaml_file
from ecr_refresher.job.settings.problems import Problems
from tests.testbed import parts
from tests.unit.job.settings_reader import SURROUNDINGS, error, errors, plan


@pytest.fixture(params=["libyaml", "PyYAML"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers that PyYAML may come with."""
    if request.param == "PyYAML":
        monkeypatch.setattr(yaml_file, "_LOADER", yaml.BaseLoader)
    elif not yaml.__with_libyaml__:
        parts.give_up("PyYAML was built without libyaml")


def read(text: str, tmp_path: Path) -> Any:
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    problems = Problems()
    yaml_file.read(str(file), problems)
    return problems.tree


def test_scalars_are_read_as_they_are_written(tmp_path: Path) -> None:
    text = "{a: 0600, b: 50000:0, c: yes, d: 1e3, e: 2026-11-22, f: 0x10, g: !!int 7}"
    assert read(text, tmp_path) == {
        "a": "0600", "b": "50000:0", "c": "yes", "d": "1e3", "e": "2026-11-22", "f": "0x10", "g": "7"
    }  # fmt: skip


def test_null_is_nothing_unless_it_is_quoted(tmp_path: Path) -> None:
    assert read("a: null\nb: ~\nc:\nd: 'null'\ne: \"\"\nf: |\n  ~", tmp_path) == {
        "a": None, "b": None, "c": None, "d": "null", "e": "", "f": "~"
    }  # fmt: skip


def test_aliases_are_copies(tmp_path: Path) -> None:
    tree = read("a: &x {k: [v]}\nb: *x\n", tmp_path)
    assert tree == {"a": {"k": ["v"]}, "b": {"k": ["v"]}}
    assert tree["a"] is not tree["b"]


def test_a_key_that_stands_there_twice_is_an_error_with_both_lines() -> None:
    found = errors("log:\n  level: info\n  level: debug\nlog: {}\n")
    assert found == (
        "log.level: is given twice, at lines 2 and 3. Remove one",
        "log: is given twice, at lines 1 and 4. Remove one",
    )


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)
TOWER = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 3000))


@pytest.mark.parametrize(
    ("written", "gist"),
    [
        ("", "is empty. Write {}"),
        ("# nothing\n", "is empty. Write {}"),
        ("--- \n", "is empty. Write {}"),
        ("- a\n", "is not a mapping"),
        ("registries", "is not a mapping"),
        ("a: 1\n---\nb: 2\n", "more than one document"),
        ("log: {level: info\nserver: {}\n", "is not YAML at line 2, column "),
        ("log:\n\tlevel: info\n", "is not YAML at line 2, column 1"),
        ("log: *nowhere\n", "an alias without its anchor at line 1"),
        ("log: &log [*log]\n", "an alias without its anchor at line 1"),
        ("log: &a {level: info}\nserver: {<<: *a}\n", "a merge key (<<) at line 2. Write the keys out"),
        ("? [a]\n: b\n", "a key that is not a text at line 1"),
        ("log: \x07\n", "a character that YAML does not allow"),
        (b"log: \xff\n", "is not UTF-8 text"),
        ("log: " + "[" * 100_000, "is nested more than 20 deep at line 1"),
        (BOMB, "its aliases multiply"),
        (TOWER, "nested more than 20 deep"),
        ("#" * (1 << 20) + "\n{}", "larger than 1048576 bytes"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_file_that_is_no_settings_file_is_refused_as_a_whole(written: str | bytes, gist: str) -> None:
    found = error(written)
    assert found.split(": ")[0].endswith("settings.yaml")
    assert gist in found


def test_a_file_with_a_byte_order_mark_is_read() -> None:
    assert plan("\ufefflog: {level: error}\n").log.level == "error"


@pytest.mark.parametrize(
    ("name", "gist"),
    [("absent.yaml", "does not exist. Create it"), (".", "can't be read"), ("a\0b", "can't be read")],
)
def test_a_named_file_must_be_there_and_readable(tmp_path: Path, name: str, gist: str) -> None:
    path = os.path.join(tmp_path, name)
    for source, environ in ((Load(path), {}), (Load(), {"ECR_REFRESHER_CONFIG": path})):
        with pytest.raises(settings.SettingsError) as refused:
            settings.load(source, {**SURROUNDINGS, **environ})
        (found,) = refused.value.errors
        assert found.startswith(f"{os.path.abspath(path)}: ")
        assert gist in found


def test_a_settings_file_that_is_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "settings.yaml")
    with pytest.raises(settings.SettingsError, match="is not a regular file"):
        settings.load(Load(str(tmp_path / "settings.yaml")), SURROUNDINGS)


def test_the_command_line_names_the_file_over_the_environment(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("log: {level: error}")
    environ = {**SURROUNDINGS, "ECR_REFRESHER_CONFIG": str(tmp_path / "absent.yaml")}
    found = settings.load(Load(str(tmp_path / "a.yaml")), environ).plan
    assert (found.log.level, found.settings_file) == ("error", str(tmp_path / "a.yaml"))
