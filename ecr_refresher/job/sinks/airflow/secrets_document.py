"""A file of connections as Airflow's LocalFilesystemBackend reads it: JSON or YAML, an object by connection id. Pure.

Of a YAML file only the one entry's lines are replaced, so that comments and the order of all else stay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import yaml

SUFFIXES = (".json", ".yaml", ".yml")


def read(text: str, path: str) -> dict[str, Any]:
    """The entries; none of an empty file. Raises ValueError, which shows nothing of the text."""
    if not text.strip():
        return {}
    try:
        found = json.loads(text, object_pairs_hook=_once) if path.endswith(".json") else _load(text)
    except (yaml.YAMLError, RecursionError):
        raise ValueError("is no YAML") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON (line {error.lineno})") from None
    if found is None and not path.endswith(".json"):
        return {}  # comments alone
    if not isinstance(found, dict):
        raise ValueError("holds no object")  # noqa: TRY004 - the text is wrong, not the argument
    return found


def entry_of(entries: Mapping[str, Any], connection: str) -> dict[str, Any] | None:
    """One connection; None if it is not there. Raises ValueError where it is written in a form that has no fields."""
    found = entries.get(connection)
    if isinstance(found, list) and len(found) == 1:
        (found,) = found
    if found is not None and not isinstance(found, dict):
        raise ValueError(f"has the connection {connection} as a URI or list; write it as a mapping")
    return found


def replaced(text: str, path: str, connection: str, entry: Mapping[str, Any]) -> str:
    """The text with this entry in it, and every other one as it was. Raises ValueError."""
    entries = read(text, path)
    wanted = {**entries, connection: dict(entry)}
    if path.endswith(".json"):
        return json.dumps(wanted, indent=2, ensure_ascii=False) + "\n"
    # An anchor may have gone with the old entry, or the file is written in one line: then it is written anew; and with
    # escapes where PyYAML itself would not read what it wrote (6.0.4 folds a NEL, U+0085, into a blank).
    for tried in (_spliced(text, connection, entry), yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True)):
        with suppress(ValueError):
            if read(tried, path) == wanted:
                return tried
    return yaml.safe_dump(wanted, sort_keys=False)


def _spliced(text: str, connection: str, entry: Mapping[str, Any]) -> str:
    """Replace the lines of one entry, or put it at the end. JSON strings are YAML strings, without its surprises."""
    lines = "".join(f"  {json.dumps(key)}: {json.dumps(value)}\n" for key, value in entry.items())
    block = f"{json.dumps(connection)}:\n{lines}"
    root = yaml.compose(text, Loader=yaml.SafeLoader) if text.strip() else None
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            if key.value == connection:
                start, end = key.start_mark.index, value.end_mark.index
                rest = text[end:]
                gap = "" if text[start:end].endswith("\n") or rest.startswith("\n") else "\n"
                return text[:start] + block.rstrip("\n") + (gap or ("\n" if not rest.startswith("\n") else "")) + rest
    return text + ("" if not text or text.endswith("\n") else "\n") + block


def _load(text: str) -> Any:
    return yaml.load(text, Loader=_Once)  # noqa: S506 - a SafeLoader


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("has a key twice; remove one")
    return dict(pairs)


class _Once(yaml.SafeLoader):
    """Refuses what Airflow's loader would silently drop: the first of two entries with one key."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        if len(set(keys)) < len(keys):
            raise ValueError("has a key twice; remove one")
        return super().construct_mapping(node, deep)
