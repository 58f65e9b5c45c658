"""The JSON Schema takes what the settings take, refuses what is wrong in a single key, and explains every key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from ecr_refresher.job.settings import validation
from ecr_refresher.job.settings.problems import Problems
from ecr_refresher.job.settings.schema import json_schema
from ecr_refresher.job.settings.schema.section import Section
from ecr_refresher.job.settings.schema.sections import Settings
from tests.unit.job.settings_reader import HOST, errors, load
from tests.unit.job.settings_schema import faults, must_take
from tests.unit.job.test_settings_errors import WRONG

SCHEMA = json_schema()

# What a schema can't say of a text, or what would take an unreadable pattern: the settings' reader tells it.
BEYOND_A_SCHEMA = {
    "out of range": "bounds of durations that are written with units",
    "from ": "the same",
    "is not an address with a port": "a port above 65535",
    "is not an http or https URL": "parts of URLs",
    "without /api": "parts of URLs",
    "has the API's path": "parts of URLs",
    "has a query, a fragment or port 0": "parts of URLs",
    "plain http to another host": "whether a host is this one",
    "has a registry in front": "an image's first part may be a path or a host",
    "looks like a key of AWS": "a mix of letters and digits",
}


def every_key() -> Iterator[tuple[str, dict[str, Any]]]:
    for section in ("Settings", *SCHEMA["$defs"]):
        made = SCHEMA if section == "Settings" else SCHEMA["$defs"][section]
        yield from ((f"{section}.{key}", found) for key, found in made["properties"].items())


KEYS = dict(every_key())


def test_it_is_a_json_schema_of_2020_12() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def sections(above: type[Section] = Section) -> Iterator[type[Section]]:
    """Every section that there is; not those that only lend their keys."""
    for section in above.__subclasses__():
        yield from sections(section) if section.__subclasses__() else [section]


def test_it_has_every_section_and_key() -> None:
    known = {f"{section.__name__}.{key}" for section in sections() for key in section.model_fields}
    assert set(KEYS) == known
    assert len(known) > 60


@pytest.mark.parametrize("name", KEYS)
def test_every_key_is_described(name: str) -> None:
    found = KEYS[name]
    assert found["description"].endswith(".")
    assert "\n" not in found["description"]
    assert {"type": "null"} in found["anyOf"]  # 'not given'


def test_defaults_stand_there_as_they_are_written() -> None:
    defaults = {name: found["default"] for name, found in KEYS.items() if "default" in found}
    assert defaults["RefreshEntry.verify_every"] == "1h"
    assert defaults["SecretsManagerEntry.sep"] == "/"
    assert defaults["ServerEntry.listen"] == "127.0.0.1:9719"
    written: dict[str, dict[str, Any]] = {}
    for name, default in defaults.items():
        section, _, key = name.partition(".")
        if section in ("RefreshEntry", "ServerEntry", "LogEntry", "CleanupEntry"):
            written.setdefault(section.removesuffix("Entry").lower(), {})[key] = default
    assert replace(load(written)[0], settings_file=None) == load()[0]


@pytest.mark.parametrize(("written", "path", "gist"), WRONG, ids=[f"{path}: {gist}"[:60] for _, path, gist in WRONG])
def test_what_is_wrong_in_a_single_key_is_refused(written: dict[str, Any], path: str, gist: str) -> None:
    """The settings tell more: what must fit together, and what no schema can say."""
    problems = Problems()
    problems.tree = _as_texts(written)
    validation.validate(problems)
    if problems.errors and not any(gist.startswith(beyond) for beyond in BEYOND_A_SCHEMA):
        assert faults(json.dumps(written)), problems.errors


def _as_texts(written: Any) -> Any:
    if isinstance(written, dict):
        return {key: _as_texts(value) for key, value in written.items()}
    if isinstance(written, list):
        return [*map(_as_texts, written)]
    return written if written is None else str(written)


@pytest.mark.parametrize(
    "written",
    [
        f"registries: '{HOST}, public.ecr.aws'",
        f"registries: {{host: {HOST}, role_arn: 'arn:aws:iam::123456789012:role/x'}}",
        "docker: {mode: 0600, owner: null, required: no}",
        "docker: {mode: 640}",
        "refresh: {verify_every: 90, deadline: 1m30s, at_fraction: 0.5, prove: 'ON'}",
        "airflow: {url: 'https://a', username: 1234, password_env: P, connections: 'a, b'}",
        "airflow: {url: 'https://a', token_env: T, connections: {a: , b: {create: false}}}",
        "log: {level: WARNING}",
        "log: \nserver: ~\n",
        "server: {listen: ':9719'}",
        "{}",
    ],
)
def test_shorter_and_odd_ways_of_writing_are_taken_by_both(written: str) -> None:
    load(written, euid=0)
    must_take(written)


@pytest.mark.parametrize("written", ["refresh: {verify_every: 0.5}", "docker: {mode: 0888}", "log: {level: 1}"])
def test_what_both_refuse(written: str) -> None:
    assert errors(written)
    assert faults(written)


def test_the_whole_is_checked_and_not_only_the_top() -> None:
    assert faults(f"registries: [{{host: {HOST}, naem: x}}]")
    assert faults("airflow: [{connections: {a: {creat: no}}}]")
    assert Settings.model_fields.keys() == SCHEMA["properties"].keys()
