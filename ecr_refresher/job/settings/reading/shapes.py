"""The shorter ways of writing, spelled out: afterwards lists are lists, entries are mappings, and one schema fits all.

Whatever is of a shape that is not known stays as it is, for the schema to refuse.
"""

from __future__ import annotations

from ..problems import Place, Problems
from .yaml_file import Tree


def entries_as_lists(tree: dict[str, Tree], problems: Problems) -> None:
    """Make `airflow` and `docker` lists; their only entry keeps the name that its author gave it."""
    for section in ("airflow", "docker", "kubernetes"):
        entries = tree.get(section)
        if isinstance(entries, dict):
            tree[section] = [entries]
            problems.show_as((section, 0), section)
        elif entries is None:
            tree.pop(section, None)


def spell_out(tree: dict[str, Tree], problems: Problems) -> None:
    """Make mappings of registries and connections that are given by name alone, and lists of comma-separated names."""
    _registries(tree, problems)
    for index, entry in enumerate(_entries(tree, "airflow")):
        if "connections" in entry:
            entry["connections"] = _connections(entry["connections"], ("airflow", index, "connections"), problems)
    for section, keys in (
        ("docker", ("registries",)),
        ("kubernetes", ("registries", "namespaces", "service_accounts")),
    ):
        for entry in _entries(tree, section):
            for key in keys:
                if isinstance(names := entry.get(key), str):
                    entry[key] = [*_names(names)]
    _cleanup(tree)


def _cleanup(tree: dict[str, Tree]) -> None:
    """Lists of labels and patterns may be given as one text, with commas."""
    cleanup = tree.get("cleanup")
    for section, key in (("containers", "keep_labels"), ("containers", "only_labels"), ("images", "keep")):
        entry = cleanup.get(section) if isinstance(cleanup, dict) else None
        if isinstance(entry, dict) and isinstance(names := entry.get(key), str):
            entry[key] = [*_names(names)]


def _entries(tree: dict[str, Tree], section: str) -> list[dict[str, Tree]]:
    entries = tree.get(section)
    return [entry if isinstance(entry, dict) else {} for entry in entries] if isinstance(entries, list) else []


def _registries(tree: dict[str, Tree], problems: Problems) -> None:
    given = tree.get("registries")
    if isinstance(given, dict):
        given = [given]
        problems.show_as(("registries", 0), problems.show(("registries",)))
    elif isinstance(given, str):
        given = [*_names(given)]
    if not isinstance(given, list):
        return
    tree["registries"] = [
        _chains(_by_name(entry, "host", ("registries", index), problems), ("registries", index), problems)
        for index, entry in enumerate(given)
    ]


def _chains(entry: Tree, place: Place, problems: Problems) -> Tree:
    """A chain of roles may be one role alone, and its external ids the one of its last role."""
    if isinstance(entry, dict):
        for key in ("role_arn", "external_id"):
            if isinstance(given := entry.get(key), str):
                entry[key] = [given]
                problems.show_as((*place, key, 0), problems.show((*place, key)))
    return entry


def _connections(given: Tree, place: Place, problems: Problems) -> Tree:
    if isinstance(given, str):
        return {connection: {} for connection in _names(given)}
    if not isinstance(given, dict):
        return given
    return {
        connection: {} if entry is None else _by_name(entry, "registry", (*place, connection), problems)
        for connection, entry in given.items()
    }


def _by_name(entry: Tree, key: str, place: Place, problems: Problems) -> Tree:
    """An entry that is its name alone, as a mapping; errors of the name are the entry's."""
    if not isinstance(entry, str):
        return entry
    problems.show_as((*place, key), problems.show(place), whole=True)
    return {key: entry}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
