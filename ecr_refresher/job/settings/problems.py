"""Errors and warnings about the settings: all at once, each under the name that the user wrote.

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
    """The settings are wrong: `problems` has every error, `errors` the same as texts."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        self.errors = tuple(map(str, problems))
        super().__init__("\n".join(self.errors))


class Problems:
    """Gathers errors and warnings about one tree of settings."""

    def __init__(self) -> None:
        self.tree: dict[str, Tree] = {}
        self.sources: dict[Place, str] = {}  # place -> the variable or option that set it
        self.warnings: list[Problem] = []
        self._errors: dict[Problem, None] = {}  # in the order of their finding, each once
        self.spoiled: set[Place] = set()  # could not be read: nothing that depends on it is judged

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The errors, at most the first hundred."""
        every = tuple(self._errors)
        if (left := len(every) - ERRORS_MAX) <= 0:
            return every
        return (*every[:ERRORS_MAX], Problem("settings", f"there are {left} more errors", "Fix these first"))

    def add(self, source: str, what: str, fix: str) -> None:
        """Note an error of something that is not in the tree."""
        self._errors[Problem(source, what, fix)] = None


@dataclass(frozen=True, slots=True)
class Spot:
    """A place together with the problems of its tree: `spot / "url"` is a place in it. As a text it is for people."""

    problems: Problems
    place: Place = ()

    def __truediv__(self, step: str | int) -> Spot:
        return Spot(self.problems, (*self.place, step))

    def __str__(self) -> str:
        steps = (step for step, _ in way(self.problems.tree, self.place))
        shown = "".join(f"[{step}]" if isinstance(step, int) else f".{_key(step)}" for step in steps)
        return self.source or shown.removeprefix(".")

    @property
    def source(self) -> str | None:
        """The variable or option that set this; None for the settings file."""
        sources = self.problems.sources
        return next((sources[head] for head in _heads(self.place) if head in sources), None)

    def error(self, what: str, fix: str) -> None:
        """Note an error, unless the place is known to be wrong already."""
        if not self.is_spoiled():
            self.problems.add(str(self), what, fix)

    def warn(self, what: str, fix: str) -> None:
        if not self.is_spoiled():
            self.problems.warnings.append(Problem(str(self), what, fix))

    def check_pair(self, entry: object, *keys: str) -> None:
        """Note an error where the entry at this place has a certificate without its key, or the other way round."""
        for missing, given in (keys, reversed(keys)):
            if getattr(entry, missing) is None and getattr(entry, given) is not None:
                (self / missing).error("is missing", f"Set it too: {given} alone has no effect")

    def is_spoiled(self, *keys: str) -> bool:
        """Whether this place, or one of these keys of it, could not be read."""
        places = (self.place, *((*self.place, key) for key in keys))
        return not self.problems.spoiled.isdisjoint(head for place in places for head in _heads(place))

    def is_any_spoiled(self, *keys: str) -> bool:
        """Whether this list, an entry of it, or one of these keys of an entry could not be read."""
        own = len(self.place)
        inside = [place[own + 1 :] for place in self.problems.spoiled if place[:own] == self.place]
        return any(not below or below[0] in keys for below in inside)


def _heads(place: Place) -> list[Place]:
    """The place and those around it, the nearest first."""
    return [place[:length] for length in range(len(place), 0, -1)]


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
    if logs.is_fit_to_show(key) and re.fullmatch(r"[\w.-]+", key):
        return key
    head = re.split(r"\W", key, maxsplit=1)[0][:20]
    return f"{head}…" if logs.is_fit_to_show(head) else "…"


def quoted(text: str) -> str:
    """A name that somebody wrote, for a message; what can't be a name may be a secret in the wrong place."""
    return f"'{text}'" if logs.is_fit_to_show(text) else "this value"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The fix for an unknown name: the most similar known name, or all of them."""
    names = sorted({name for name in known if logs.is_fit_to_show(name)})
    close = difflib.get_close_matches(word, names, 1)
    return f"Did you mean '{close[0]}'?" if close else f"Write one of these: {', '.join(names) or 'none'}"
