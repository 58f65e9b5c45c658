"""What is wrong with the settings: every error at once, each under the name that its author knows.

A place is a tuple of keys and indices, as in pydantic's errors. People see `airflow[0].url`, or the variable or option
that the value came from. No text here holds a value that may be secret.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ... import logs

Place: TypeAlias = "tuple[str | int, ...]"
Tree: TypeAlias = "str | list[Tree] | dict[str, Tree] | None"

ERRORS_MAX = 100
_SHOWN_MAX = 120  # characters of a name


class Wrong(ValueError):
    """One value is wrong: what about it, and the fix as an imperative."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}. {fix}")
        self.what, self.fix = what, fix


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at a place; as a text `place: what. fix`."""

    place: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}. {self.fix}"


class SettingsError(Exception):
    """The settings are wrong; `problems` has everything that is, `errors` the same as texts."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        self.errors = tuple(map(str, problems))
        super().__init__("\n".join(self.errors))


class Given(str):
    """A value with the name of the variable or option that it came from."""

    source: str

    def __new__(cls, value: str, source: str) -> Given:
        made = super().__new__(cls, value)
        made.source = source
        return made

    def __deepcopy__(self, memo: object) -> Given:
        return self


class GivenEntry(dict[str, Tree]):
    """An entry that the environment made; `variables` are the names of its keys there, the first given one in front."""

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__()
        self.variables = variables


class Problems:
    """Gathers errors and warnings about one tree of settings."""

    def __init__(self) -> None:
        self.tree: dict[str, Tree] = {}
        self.warnings: list[Problem] = []
        self._errors: dict[Problem, None] = {}  # in the order of their finding, each once
        self._spoiled: set[Place] = set()

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Every error; of a file that is all errors, the first hundred."""
        every = tuple(self._errors)
        if (left := len(every) - ERRORS_MAX) <= 0:
            return every
        return (*every[:ERRORS_MAX], Problem("settings", f"there are {left} more errors", "Fix these first"))

    def error(self, place: Place, what: str, fix: str) -> None:
        """Note an error, unless the place is known to be wrong already."""
        if not self.is_spoiled(place):
            self._errors[Problem(self.show(place), what, fix)] = None

    def add(self, source: str, what: str, fix: str) -> None:
        """Note an error of something that is not in the tree."""
        self._errors[Problem(source, what, fix)] = None

    def warn(self, place: Place, what: str, fix: str) -> None:
        if not self.is_spoiled(place):
            self.warnings.append(Problem(self.show(place), what, fix))

    def spoil(self, place: Place) -> None:
        """Note that the value itself could not be read: nothing that depends on it is judged."""
        self._spoiled.add(place)

    def is_spoiled(self, *places: Place) -> bool:
        return any(place[:length] in self._spoiled for place in places for length in range(1, len(place) + 1))

    def is_any_spoiled(self, section: str, keys: tuple[str, ...]) -> bool:
        """Whether a list of entries, an entry of it, or one of these keys of an entry could not be read."""
        return any(place[0] == section and (len(place) < 3 or place[2] in keys) for place in self._spoiled)

    def show(self, place: Place) -> str:
        """The name of a place for people."""
        shown, below = "", None
        for step, node in way(self.tree, place):
            if isinstance(node, GivenEntry) and step in node.variables:
                return node.variables[step]
            shown += f"[{step}]" if isinstance(step, int) else f".{_key(step)}" if shown else _key(step)
            below = node[step] if isinstance(node, list) else (node or {}).get(step)
        if isinstance(below, GivenEntry):
            return next(iter(below.variables.values()))
        return below.source if isinstance(below, Given) else shown


def way(tree: Tree, place: Place) -> Iterator[tuple[Any, Any]]:
    """The steps of a place that are written in the file, each with the node that it leads on from.

    The only entry of a list may be written without the list, and a whole entry as one text. Steps that are not written
    are left out.
    """
    node: Any = tree
    for step in place:
        if isinstance(node, list) and isinstance(step, int) and step < len(node):
            yield step, node
            node = node[step]
        elif isinstance(node, dict | None):
            if isinstance(step, str):
                yield step, node
                node = (node or {}).get(step)
        else:
            return


def _key(key: str) -> str:
    """A key for a message. `{password:x}` without a blank is a key to YAML, so an odd one is not shown whole."""
    if is_fit_to_show(key) and re.fullmatch(r"[\w.-]+", key):
        return key
    head = re.split(r"\W", key, maxsplit=1)[0][:20]
    return f"{head}…" if is_fit_to_show(head) else "…"


def quoted(text: str) -> str:
    """A name that somebody wrote, for a message; what can't be a name may be a secret in the wrong place."""
    return f"'{text}'" if is_fit_to_show(text) else "this value"


def is_fit_to_show(text: str) -> bool:
    """Whether a text is a name, and not a password by mistake: no random mix of small, capital letters and digits."""
    return (
        len(text) <= _SHOWN_MAX
        and re.fullmatch(r"[\w.:/-]+", text) is not None
        and not any(map(_looks_random, re.split(r"[./:-]", text)))
        and logs.redact(text) == text
    )


def _looks_random(part: str) -> bool:
    kinds = (str.islower, str.isupper, str.isdigit)
    return len(part) >= 12 and all(any(map(is_kind, part)) for is_kind in kinds)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The fix for a name that is not known: the name that was probably meant, or all that there are."""
    names = sorted({name for name in known if is_fit_to_show(name)})
    close = difflib.get_close_matches(word, names, 1)
    return f"Did you mean '{close[0]}'?" if close else f"Write one of these: {', '.join(names) or 'none'}"
