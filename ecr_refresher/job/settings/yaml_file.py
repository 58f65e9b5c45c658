"""A YAML file as a tree of mappings, lists and texts. Every scalar is read as it is written: `0600` stays `0600`.

Built on PyYAML's events and not on its loaders: those turn `50000:0` into 3000000, take duplicate keys silently, and
follow nesting on the C stack until it ends.
"""

from collections.abc import Iterator
from typing import Any

import yaml

from . import bounded_file
from .problems import Place, Problem, Problems, SettingsError, Spot, Tree, Wrong

SIZE_MAX = 1 << 20  # bytes
DEPTH_MAX = 20
NODES_MAX = 100_000  # a plan of 1,000 slots has about 5,000; aliases of aliases have any number

_NULLS = ("", "~", "null", "Null", "NULL")
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # 20 times as fast, where PyYAML was built with it


def read(path: str, problems: Problems) -> None:
    """Read the settings file into the tree of `problems`, where duplicate keys are noted too.

    Raises SettingsError where the file is not a YAML mapping.
    """
    try:
        builder = _Builder(yaml.parse(_text(path), Loader=_LOADER))
        problems.tree = builder.document()
    except (Wrong, yaml.YAMLError) as error:
        wrong = error if isinstance(error, Wrong) else _wrong(error)
        raise SettingsError([Problem(path, wrong.what, wrong.fix)]) from None
    for place, first, second in builder.duplicates:
        Spot(problems, place).error(f"is given twice, at lines {first} and {second}", "Remove one")


def _text(path: str) -> str:
    try:
        return bounded_file.read(path, SIZE_MAX).decode("utf-8-sig")
    except FileNotFoundError:
        raise Wrong("does not exist", "Create it, or correct --config or ECR_REFRESHER_CONFIG") from None
    except OSError as error:
        raise Wrong(f"can't be read: {error.strerror}", "Fix that, or name another file") from None
    except UnicodeDecodeError:
        raise Wrong("is not UTF-8 text", "Save it as UTF-8") from None
    except ValueError as error:  # not a regular file, too large, or a null byte in the name
        raise Wrong(f"can't be read: it {error}", "Name another file") from None


def _wrong(error: yaml.YAMLError) -> Wrong:
    """PyYAML's finding in its own words, unless they quote the file: a secret may be in it."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return Wrong("has a character that YAML does not allow", "Remove it")
    said, mark = error.problem or "", error.problem_mark or error.context_mark
    if "nesting depth" in said:  # libyaml has a bound of its own since PyYAML 6.0.4
        return _too_deep(mark)
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    why = f" ({said})" if said and not {"'", '"'} & set(said.replace("':'", "")) else ""
    return Wrong(f"is not YAML{where}{why}", "Correct it there")


def _too_deep(mark: Any) -> Wrong:
    return Wrong(f"is nested more than {DEPTH_MAX} deep at line {mark.line + 1}", "Flatten it")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


class _Builder:
    """Builds one document's tree. Recursion ends at `DEPTH_MAX`, growth by aliases at `NODES_MAX`."""

    def __init__(self, events: Iterator[Any]) -> None:
        self.duplicates: list[tuple[Place, int, int]] = []  # keys, with both lines
        self._events = events
        self._anchors: dict[str, Tree] = {}
        self._nodes = 0

    def document(self) -> dict[str, Tree]:
        next(self._events)  # the stream's start
        tree = None
        if not isinstance(next(self._events), yaml.StreamEndEvent):
            tree = self._value(next(self._events), ())
            next(self._events)  # the document's end
            if not isinstance(next(self._events), yaml.StreamEndEvent):
                raise Wrong("has more than one document", "Keep one, without '---' in between")
        if tree is None:
            # A file that is being rewritten is empty for a moment. That must not pass for `all defaults`.
            raise Wrong("is empty", "Write {} for the defaults")
        if not isinstance(tree, dict):
            raise Wrong("is not a mapping", "Write `key: value` lines, e.g. `registries: [...]`")
        return tree

    def _value(self, event: Any, place: Place) -> Tree:
        tree: Tree
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise Wrong(f"has an alias without its anchor at line {_line(event)}", "Define it further up")
            return self._copy(self._anchors[event.anchor], len(place), event)
        self._count(len(place), event)
        if isinstance(event, yaml.ScalarEvent):
            plain = not event.style  # libyaml says '' where PyYAML itself says None
            tree = None if plain and event.value in _NULLS else event.value
        elif isinstance(event, yaml.SequenceStartEvent):
            tree = []
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                tree.append(self._value(inner, (*place, len(tree))))
        else:
            tree = self._mapping(place)
        if event.anchor is not None:
            self._anchors[event.anchor] = tree
        return tree

    def _mapping(self, place: Place) -> dict[str, Tree]:
        tree: dict[str, Tree] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = event.value if isinstance(event, yaml.ScalarEvent) else None
            if key is None:
                raise Wrong(f"has a key that is not a text at line {_line(event)}", "Write `key: value`")
            if key == "<<":
                raise Wrong(f"has a merge key (<<) at line {_line(event)}", "Write the keys out")
            value = self._value(next(self._events), (*place, key))
            if key in lines:
                self.duplicates.append(((*place, key), lines[key], _line(event)))
            else:
                tree[key], lines[key] = value, _line(event)
        return tree

    def _copy(self, tree: Tree, depth: int, alias: Any) -> Tree:
        """The tree behind an alias, counted as if it were written out."""
        self._count(depth, alias)
        if isinstance(tree, dict):
            return {key: self._copy(value, depth + 1, alias) for key, value in tree.items()}
        return [self._copy(value, depth + 1, alias) for value in tree] if isinstance(tree, list) else tree

    def _count(self, depth: int, event: Any) -> None:
        """Count a node at its depth. Raises Wrong where there are too many, or it is too deep."""
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise Wrong(f"comes to more than {NODES_MAX} values, because its aliases multiply", "Write less")
        if depth > DEPTH_MAX:
            raise _too_deep(event.start_mark)
