"""A YAML file as a tree of mappings, lists and texts. Every scalar is read as it is written: `0600` stays `0600`.

Built on PyYAML's events and not on its loaders: those turn `50000:0` into 3000000, take duplicate keys silently, and
follow nesting on the C stack until it ends.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import yaml

from ..problems import Place, Problem, Problems, SettingsError, Spot, Tree
from . import bounded_file

SIZE_MAX = 1 << 20  # bytes
DEPTH_MAX = 20
NODES_MAX = 100_000  # a plan of 1,000 slots has about 5,000; aliases of aliases have any number

_NULLS = ("", "~", "null", "Null", "NULL")
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # 20 times as fast, where PyYAML was built with it


def read(path: str, problems: Problems) -> None:
    """Read the settings file into the tree of `problems`, where duplicate keys are noted too.

    Raises SettingsError where the file is not a YAML mapping.
    """
    text = _text(path)
    try:
        builder = _Builder(yaml.parse(text, Loader=_LOADER))
        tree = builder.document()
    except yaml.MarkedYAMLError as error:
        if "nesting depth" in (error.problem or ""):  # libyaml has a bound of its own since PyYAML 6.0.4
            raise _refused(path, *_too_deep(error.problem_mark)) from None
        raise _refused(path, f"is not YAML{_where(error)}{_why(error)}", "Correct it there") from None
    except yaml.YAMLError:
        raise _refused(path, "has a character that YAML does not allow", "Remove it") from None
    except _Unreadable as error:
        raise _refused(path, *error.args) from None
    if tree is None:
        # A file that is being rewritten is empty for a moment. That must not pass for `all defaults`.
        raise _refused(path, "is empty", "Write {} for the defaults")
    if not isinstance(tree, dict):
        raise _refused(path, "is not a mapping", "Write `key: value` lines, e.g. `registries: [...]`")
    problems.tree = tree
    for place, lines in builder.duplicates:
        Spot(problems, place).error(f"stands there twice, at lines {lines[0]} and {lines[1]}", "Remove one")


def _text(path: str) -> str:
    try:
        return bounded_file.read(path, SIZE_MAX).decode("utf-8-sig")
    except FileNotFoundError:
        raise _refused(path, "does not exist", "Create it, or correct --config or ECR_REFRESHER_CONFIG") from None
    except OSError as error:
        raise _refused(path, f"can't be read: {error.strerror}", "Fix that, or name another file") from None
    except UnicodeDecodeError:
        raise _refused(path, "is not UTF-8 text", "Save it as UTF-8") from None
    except ValueError as error:  # not a regular file, too large, or a null byte in the name
        raise _refused(path, f"can't be read: it {error}", "Name another file") from None


def _refused(path: str, what: str, fix: str) -> SettingsError:
    return SettingsError([Problem(path, what, fix)])


def _where(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _why(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's own words, unless they quote the file: a secret may be in it."""
    words = error.problem or ""
    return f" ({words})" if words and not {"'", '"'} & set(words.replace("':'", "")) else ""


class _Unreadable(Exception):
    """The file is YAML of a kind that is not read: what about it, and the fix."""


class _Builder:
    """Builds one document's tree. Recursion ends at `DEPTH_MAX`, growth by aliases at `NODES_MAX`."""

    def __init__(self, events: Iterator[Any]) -> None:
        self.duplicates: list[tuple[Place, tuple[int, int]]] = []
        self._events = events
        self._anchors: dict[str, tuple[Tree, int, int]] = {}
        self._nodes = 0

    def document(self) -> Tree:
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        tree = self._value(next(self._events), ())
        next(self._events)  # the document's end
        if not isinstance(next(self._events), yaml.StreamEndEvent):
            raise _Unreadable("has more than one document", "Keep one, without '---' in between")
        return tree

    def _value(self, event: Any, place: Place) -> Tree:
        if len(place) > DEPTH_MAX:
            raise _Unreadable(*_too_deep(event.start_mark))
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, place)
        before = self._nodes
        self._count(1)
        tree: Tree
        if isinstance(event, yaml.ScalarEvent):
            plain = not event.style  # libyaml says '' where PyYAML itself says None
            tree = None if plain and event.value in _NULLS else event.value
        elif isinstance(event, yaml.SequenceStartEvent):
            tree = self._list(place)
        else:
            tree = self._mapping(place)
        if event.anchor is not None:
            self._anchors[event.anchor] = (tree, self._nodes - before, _depth(tree))
        return tree

    def _alias(self, event: yaml.AliasEvent, place: Place) -> Tree:
        if event.anchor not in self._anchors:
            raise _Unreadable(f"has an alias without its anchor at line {_line(event)}", "Define it further up")
        tree, size, depth = self._anchors[event.anchor]
        if len(place) + depth > DEPTH_MAX:
            raise _Unreadable(*_too_deep(event.start_mark))
        self._count(size)
        return copy.deepcopy(tree)

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > NODES_MAX:
            raise _Unreadable(f"comes to more than {NODES_MAX} values, because its aliases multiply", "Write less")

    def _list(self, place: Place) -> list[Tree]:
        items: list[Tree] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*place, len(items))))
        return items

    def _mapping(self, place: Place) -> dict[str, Tree]:
        tree: dict[str, Tree] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = event.value if isinstance(event, yaml.ScalarEvent) else None
            if key is None:
                raise _Unreadable(f"has a key that is not a text at line {_line(event)}", "Write `key: value`")
            if key == "<<":
                raise _Unreadable(f"has a merge key (<<) at line {_line(event)}", "Write the keys out")
            value = self._value(next(self._events), (*place, key))
            if key in lines:
                self.duplicates.append(((*place, key), (lines[key], _line(event))))
            else:
                tree[key], lines[key] = value, _line(event)
        return tree


def _too_deep(mark: Any) -> tuple[str, str]:
    return f"is nested more than {DEPTH_MAX} deep at line {mark.line + 1}", "Flatten it"


def _depth(tree: Tree) -> int:
    below = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return 1 + max(map(_depth, below), default=0)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
