"""The reference in docs/settings.md, made of the settings' own schema; `make docs` puts it there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ecr_refresher.job.settings import environment
from ecr_refresher.job.settings.schema import json_schema

from .pages import ROOT, anchor

PAGE = ROOT / "docs" / "settings.md"
MARKS = ("<!-- made by `make docs` of the schema: begin -->\n", "<!-- made by `make docs` of the schema: end -->\n")


def page(written: str) -> str:
    """The page with its reference made anew; what is written by hand stays."""
    before, after = written.split(MARKS[0], maxsplit=1)[0], written.split(MARKS[1])[1]
    return before + MARKS[0] + "\n" + "\n".join(reference()) + "\n" + MARKS[1] + after


def reference() -> Iterator[str]:
    schema = json_schema()
    _written.clear()
    yield from _section(schema, schema, "")
    yield "## Environment variables"
    yield ""
    yield "| variable | sets |"
    yield "|---|---|"
    yield f"| `{environment.CONFIG}` | the settings file, as `--config` |"
    for name, place in environment.KEYS.items():
        key = f"`{'.'.join(place)}`"
        holds = ", by holding the secret itself" if place[-1].endswith("_env") else ""
        yield f"| `{environment.PREFIX}{name}` | {key}{holds} |"


def _section(schema: dict[str, Any], section: dict[str, Any], path: str) -> Iterator[str]:
    """Heading and table of a section, then those of the sections below it."""
    if path:
        yield f"## {path}"
        yield ""
        yield section["description"]
        yield ""
    yield "| key | kind | default | what it is |"
    yield "|---|---|---|---|"
    below: dict[str, list[str]] = {}
    for key, found in section["properties"].items():
        names = list(dict.fromkeys(_targets(found)))
        here = f"{path.partition(':')[0]}.{key}" if path else key
        if names:
            below[here] = names
        what, default = _told(found)
        shown = f"[`{key}`](#{anchor(_heading(schema, here, names[0]))})" if names else f"`{key}`"
        yield f"| {shown} | {_kind(found)} | {default or ('' if names else 'none')} | {what} |"
    yield ""
    for here, names in below.items():
        for name in names:
            heading = _heading(schema, here, name)
            if heading not in _written:
                _written.append(heading)
                yield from _section(schema, schema["$defs"][name], heading)


_written: list[str] = []


def _heading(schema: dict[str, Any], path: str, name: str) -> str:
    """`airflow: REST API`, for a section that is one of several."""
    title = schema["$defs"][name].get("title")
    return f"{path}: {title}" if title else path


def _targets(choice: Any) -> Iterator[str]:
    """The sections that a key leads to, in a list or mapping too."""
    if isinstance(choice, dict):
        if "$ref" in choice:
            yield str(choice["$ref"]).rpartition("/")[2]
        for inner in choice.values():
            yield from _targets(inner)
    elif isinstance(choice, list):
        for inner in choice:
            yield from _targets(inner)


def _told(found: dict[str, Any]) -> tuple[str, str]:
    """What a key is, and its default: the value, or what the description says of it."""
    what, _, default = found["description"].partition(" Default: ")
    if "default" in found:
        value = found["default"]
        default = f"`{str(value).lower() if isinstance(value, bool) else value}`"
    return what, default.rstrip(".")


def _kind(found: dict[str, Any]) -> str:
    kinds = [_kind_of(choice) for choice in found["anyOf"] if choice.get("type") != "null"]
    return " or ".join(dict.fromkeys(kinds))


def _kind_of(choice: dict[str, Any]) -> str:
    if choice.get("type") == "array":
        return "list"
    if "$ref" in choice or choice.get("type") == "object":
        return "mapping"
    alternatives = choice.get("anyOf", ()) if choice.get("title") == "word" else ()
    words = next((each["enum"] for each in alternatives if "enum" in each), None)
    return ", ".join(f"`{word}`" for word in words) if words else str(choice.get("title") or choice["type"])


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
