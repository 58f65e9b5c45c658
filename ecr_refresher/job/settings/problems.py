"""What is wrong with the settings, gathered so that all of it is told at once, each under the name its author knows.

A place in the settings is a tuple of keys and indices; people see `airflow[0].url`, or the variable or option it
came from. Nothing here ever holds a value that may be secret: the texts are written by the checks, not by libraries.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

Place = tuple[str | int, ...]

ERRORS_MAX = 100
_SHOWN_MAX = 120
_KEY = re.compile(r"[\w.-]+")


class SettingsError(Exception):
    """The settings are wrong; `errors` has every error as `path: what is wrong; how to mend it`."""

    def __init__(self, errors: tuple[str, ...]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


class Problems:
    """Gathers errors and warnings while the settings are read."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self._errors: dict[str, None] = {}  # a dictionary keeps the order, and each only once
        self._spoiled: set[Place] = set()
        self._shown: dict[Place, tuple[str, bool]] = {}

    @property
    def errors(self) -> tuple[str, ...]:
        """Every error in the order of its finding; of a file that is all errors, the first hundred."""
        every = tuple(self._errors)
        left = len(every) - ERRORS_MAX
        return every if left <= 0 else (*every[:ERRORS_MAX], f"settings: {left} more errors; mend these first")

    def show_as(self, place: Place, text: str, *, whole: bool = False) -> None:
        """Show this place and all below it under another name; `whole` leaves out what is below."""
        self._shown[place] = (text, whole)

    def show(self, place: Place) -> str:
        """The name of a place for people."""
        for length in range(len(place), 0, -1):
            if place[:length] in self._shown:
                text, whole = self._shown[place[:length]]
                return text if whole else _joined(text, place[length:])
        return _joined("", place)

    def spoil(self, place: Place) -> None:
        """Note that the value itself is wrong: what depends on it is not judged as well."""
        self._spoiled.add(place)

    def is_spoiled(self, place: Place) -> bool:
        return any(place[:length] in self._spoiled for length in range(1, len(place) + 1))

    def is_any_spoiled(self, section: str, keys: tuple[str, ...]) -> bool:
        """Whether a list of entries, an entry of it, or one of these keys of an entry could not be read."""
        return any(place[0] == section and (len(place) < 3 or place[2] in keys) for place in self._spoiled)

    def error(self, place: Place, what: str) -> None:
        """Note an error, unless the place is known to be faulty already."""
        if not self.is_spoiled(place):
            self._errors[f"{self.show(place)}: {what}"] = None

    def warn(self, place: Place, what: str) -> None:
        if not self.is_spoiled(place):
            self.warnings.append(f"{self.show(place)}: {what}")


def _joined(text: str, rest: Place) -> str:
    for part in rest:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{_key(part)}" if text else _key(part)
    return text


def _key(key: str) -> str:
    """A key as it may be shown: `{password:x}` without a blank is a key to YAML, so nothing odd is shown whole."""
    if _KEY.fullmatch(key) and len(key) <= _SHOWN_MAX:
        return key
    return re.split(r"\W", key, maxsplit=1)[0][:20] + "…"


def quoted(text: str) -> str:
    """A name that somebody typed, for a message; what can't be a name may be a secret in the wrong place."""
    return f"'{text}'" if is_fit_to_show(text) else "this value"


def is_fit_to_show(text: str) -> bool:
    return len(text) <= _SHOWN_MAX and re.fullmatch(r"[\w.:/-]+", text) is not None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The mend for a name that is not known: the one that was probably meant, or all that there are."""
    names = sorted({name for name in known if is_fit_to_show(name)})
    close = difflib.get_close_matches(word, names, 1)
    return f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(names) or 'none'}"
