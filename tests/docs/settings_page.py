"""The reference in docs/settings.md, made of the settings' own schema; `make docs` puts it there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ecr_refresher.job.settings.json_schema import json_schema
from ecr_refresher.job.settings.reading import environment

from .pages import ROOT, anchor

PAGE = ROOT / "docs" / "settings.md"
MARKS = ("<!-- made by `make docs` of the schema: begin -->\n", "<!-- made by `make docs` of the schema: end -->\n")


def page(written: str) -> str:
    """The page with its reference made anew; what is written by hand stays."""
    before, after = written.split(MARKS[0], maxsplit=1)[0], written.split(MARKS[1])[1]
    return before + MARKS[0] + "\n" + "\n".join(reference()) + "\n" + MARKS[1] + after


def reference() -> Iterator[str]:
    schema = json_schema()
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
    below = {}
    if path:
        yield f"## {path}"
        yield ""
        yield section["description"]
        yield ""
    yield "| key | kind | default | what it is |"
    yield "|---|---|---|---|"
    for key, found in section["properties"].items():
        inner = [_target(choice) for choice in found["anyOf"]]
        names = [name for name in inner if name]
        here = f"{path}.{key}" if path else key
        if names:
            below[here] = schema["$defs"][names[0]]
        what, default = _told(found)
        shown = f"[`{key}`](#{anchor(here)})" if names else f"`{key}`"
        yield f"| {shown} | {_kind(found)} | {default or ('' if names else 'none')} | {what} |"
    yield ""
    for here, inner_section in below.items():
        yield from _section(schema, inner_section, here)


def _target(choice: dict[str, Any]) -> str | None:
    """The section that a choice leads to, in a list or mapping too."""
    items = choice.get("items", choice.get("additionalProperties", choice))
    for each in (items if isinstance(items, dict) else {}).get("anyOf", [items]):
        if isinstance(each, dict) and "$ref" in each:
            return str(each["$ref"]).rpartition("/")[2]
    return None


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
    words = next((each["enum"] for each in choice.get("anyOf", ()) if "enum" in each), None)
    return ", ".join(f"`{word}`" for word in words) if words else str(choice["title"])


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
