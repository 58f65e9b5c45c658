"""A tree of texts against the schema: every error at once, told without the value, under its author's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..problems import Place, Problems, did_you_mean
from ..resolving.paths import Paths
from ..schema import (
    AirflowEntry,
    CleanupBuildCacheEntry,
    CleanupContainersEntry,
    CleanupEntry,
    CleanupImagesEntry,
    ConnectionEntry,
    DockerEntry,
    HeaderEntry,
    KubernetesEntry,
    LogEntry,
    RefreshEntry,
    RegistryEntry,
    Section,
    ServerEntry,
    Settings,
)
from .yaml_file import Tree

CLEANUP_SECTIONS: Mapping[str, type[Section]] = {
    "containers": CleanupContainersEntry,
    "images": CleanupImagesEntry,
    "build_cache": CleanupBuildCacheEntry,
}


def validate(tree: dict[str, Tree], problems: Problems, paths: Paths | None = None) -> Settings:
    """Give the settings of a tree; what is wrong goes to `problems` and is left out, so that the rest is judged too."""
    while True:
        try:
            return Settings.model_validate(tree, context=paths)
        except ValidationError as refused:
            # Never `str(refused)` or its inputs: they show what was written, secrets too.
            for error in refused.errors(include_url=False, include_input=False):
                place: Place = error["loc"]
                problems.error(place, _said(error["type"], error.get("ctx", {}), place))
                faulty = place[:-1] if len(place) > 2 and isinstance(place[-1], int) else place  # a list of names
                problems.spoil(faulty)
                _leave_out(tree, faulty)


def _said(kind: str, context: Mapping[str, Any], place: Place) -> str:
    if kind == "extra_forbidden":
        return _unknown(str(place[-1]), _section(place[:-1]))
    if kind == "value_error":
        return str(context["error"])
    return {
        "model_type": "is no mapping; write `key: value` lines below it",
        "dict_type": "is no mapping; write `key: value` lines below it",
        "list_type": "is no list; write `- ` before each entry",
    }.get(kind, "is not of the right kind; see docs/settings.md")


def _unknown(key: str, section: type[Section]) -> str:
    if key in ("password", "token", "client_secret"):
        return (
            f"no secret stands in the settings; put it into a file and name that as {key}_file, "
            f"or name the environment variable that holds it as {key}_env"
        )
    return f"unknown key; {did_you_mean(key, section.model_fields)}"


def _section(place: Place) -> type[Section]:
    """The section that has its place there."""
    sections: dict[str, type[Section]] = {
        "registries": RegistryEntry,
        "airflow": AirflowEntry if len(place) <= 2 else HeaderEntry if place[2] == "headers" else ConnectionEntry,
        "docker": DockerEntry,
        "kubernetes": KubernetesEntry,
        "refresh": RefreshEntry,
        "cleanup": CLEANUP_SECTIONS.get(str(place[1]), CleanupEntry) if len(place) > 1 else CleanupEntry,
        "server": ServerEntry,
        "log": LogEntry,
    }
    return sections[str(place[0])] if place else Settings


def _leave_out(tree: Any, place: Place) -> None:
    """Take away what is wrong: an entry's key, or all of an entry, so that the others keep their numbers."""
    *way, last = place
    for step in way:
        tree = tree[step]
    if isinstance(tree, list):
        tree[int(last)] = {}
    else:
        tree.pop(last, None)
