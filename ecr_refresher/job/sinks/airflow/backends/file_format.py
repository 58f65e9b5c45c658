"""A file of connections as Airflow's LocalFilesystemBackend reads it: JSON, YAML or .env. Pure.

Of a YAML file only the one entry's lines are replaced, so that comments and the order of the other entries stay.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import yaml

from .....core.model import Failed, Reason
from . import env_file

ENV = ".env"
# Of an entry with `uri` and one of these beside it, Airflow says that they can't be mixed.
_FIELDS = ("conn_type", "host", "login", "password", "schema", "port", "extra", "extra_dejson")


def read(text: str, path: str) -> dict[str, Any]:
    """The entries of a JSON or YAML file; none of an empty one. Raises Failed."""
    if not text.strip():
        return {}
    try:
        if path.endswith(".json"):
            found = json.loads(text, object_pairs_hook=_once)
        else:
            found = yaml.load(text, Loader=_Strict)  # noqa: S506 - a SafeLoader
            found = {} if found is None else found  # comments alone
    except json.JSONDecodeError as error:
        raise _bad(path, f"is not JSON (line {error.lineno})", "Correct it, or move it away") from None
    except KeyError:
        raise _bad(path, "has a key twice", "Remove one of the two") from None
    except (yaml.YAMLError, RecursionError, ValueError, TypeError):  # of a month 13, say, or of a list for a key
        raise _bad(path, "is not YAML", "Correct it, or move it away") from None
    if not isinstance(found, dict):
        raise _bad(path, "does not hold an object", "Write an object by connection id")
    return found


def entry_of(text: str, path: str, connection: str) -> dict[str, Any] | None:
    """One connection; None if it is not there. Raises Failed where it has a form without fields."""
    if path.endswith(ENV):
        return env_file.entry(text, path, connection)
    found = read(text, path).get(connection)
    if isinstance(found, list) and len(found) == 1:
        (found,) = found
    if found is None:
        return None
    if not isinstance(found, dict) or "uri" in found:
        said = f"has the connection {connection} as a URI or list"
        raise _bad(path, said, "Write it as a mapping of conn_type, host, login and password")
    return found


def replaced(text: str, path: str, connection: str, entry: Mapping[str, Any]) -> str:
    """The text with this entry in it, and every other one as it was. Raises Failed where Airflow would not read it."""
    if path.endswith(ENV):
        return env_file.replaced(text, path, connection, entry)
    wanted = {**read(text, path), connection: dict(entry)}
    for name, other in wanted.items():
        _check(path, str(name), other)
    if path.endswith(".json"):
        return json.dumps(wanted, indent=2, ensure_ascii=False) + "\n"
    # An anchor may have gone with the old entry, or the file is written in one line: then it is written anew; and with
    # escapes where PyYAML itself would not read what it wrote (6.0.4 folds a NEL, U+0085, into a blank).
    for tried in (_spliced(text, connection, entry), _dumped(wanted)):
        with suppress(Failed):
            # As texts: comparing the objects takes for ever where aliases nest.
            if _dumped(read(tried, path)) == _dumped(wanted):
                return tried
    return yaml.safe_dump(wanted, sort_keys=False)


def _dumped(found: Any) -> str:
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True)


def _check(path: str, connection: str, found: Any) -> None:
    said = f"has the connection {connection[:100]!r}"
    stop = "so Airflow reads none of this file's connections"
    forms = found if isinstance(found, list) else [found]
    if len(forms) > 1 or not all(isinstance(form, dict | str) for form in forms):
        raise _bad(path, f"{said} as neither a mapping nor a URI, {stop}", "Correct or remove it")
    for form in forms:
        if isinstance(form, dict) and form.get("uri") and any(form.get(field) for field in _FIELDS):
            raise _bad(path, f"{said} with fields beside its uri, {stop}", "Remove its uri, or the fields beside it")


def _spliced(text: str, connection: str, entry: Mapping[str, Any]) -> str:
    """Replace the lines of one entry, or put it at the end. JSON strings are YAML strings, without its surprises."""
    lines = "".join(f"  {json.dumps(key)}: {json.dumps(value)}\n" for key, value in entry.items())
    block = f"{json.dumps(connection)}:\n{lines}"
    root = yaml.compose(text, Loader=yaml.SafeLoader) if text.strip() else None
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            if key.value == connection:
                rest = text[value.end_mark.index :]
                return text[: key.start_mark.index] + block.rstrip("\n") + ("" if rest[:1] == "\n" else "\n") + rest
    return text + ("" if not text or text.endswith("\n") else "\n") + block


def _bad(path: str, said: str, fix: str) -> Failed:
    return Failed(Reason.INVALID, f"{path} {said}", fix)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse what Airflow would silently drop, the first of two entries with one key: raises KeyError."""
    if len(dict(pairs)) < len(pairs):
        raise KeyError
    return dict(pairs)


class _Strict(yaml.SafeLoader):
    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        _once([(key.value, value) for key, value in node.value if key.tag != "tag:yaml.org,2002:merge"])
        return super().construct_mapping(node, deep)
