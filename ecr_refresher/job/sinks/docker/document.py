"""The text of a docker `config.json`: one entry of it is changed, and all else keeps its meaning. Pure.

Numbers are kept as the text they were, so that none loses digits. What the docker command would refuse, or what
can't be written back with its meaning (a key given twice), is refused with the place and the mend.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ....core.model import Failed, Reason

# The parts of an entry that are a login; an identity token would win over `auth`.
LOGIN_KEYS = frozenset({"auth", "username", "password", "identitytoken", "registrytoken"})
_HELPER_NAME = re.compile(r"[\w.-]+")
_JSON = json.JSONEncoder(ensure_ascii=False)
_SCHEME = re.compile(r"^https?://")
_MEND = "mend the file, or move it away and log in again"


class _Unreadable(ValueError):
    """Says what is wrong without quoting values."""


@dataclass(frozen=True, slots=True)
class _Number:
    """A number as it was written."""

    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A `config.json` as read; `path` is for messages."""

    path: str
    _content: dict[str, Any] = field(repr=False)
    # Entries of `auths` and their text with its key, as last rendered; handed on to what is made of this document.
    _texts: dict[str, tuple[Any, str]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def parse(cls, path: str, text: bytes | None) -> Document:
        """Read the text; none, or an empty one, is an empty object, as for the docker command. Raises Failed."""
        try:
            document = cls(path, _object_in(text or b""))
            document._section("auths")
            document._section("credHelpers")
        except _Unreadable as error:
            problem = str(error)
        else:
            return document
        raise Failed(Reason.INVALID, f"{path}: {problem}; {_MEND}")

    def helper_for(self, host: str) -> str | None:
        """The credential helper that claims the host: `credHelpers` before `credsStore`, as the docker command."""
        helpers = self._section("credHelpers")
        name = helpers[host] if host in helpers else self._content.get("credsStore")
        if name is None or name == "":
            return None
        if not isinstance(name, str) or not _HELPER_NAME.fullmatch(name):
            raise Failed(Reason.INVALID, f"{self.path}: the credential helper for {host} has no valid name; {_MEND}")
        return name

    def auth(self, host: str) -> str | None:
        """What `auths` holds for the host; None where that is no login by name and password."""
        entry = self._entry(host)
        auth = entry.get("auth")
        return auth if isinstance(auth, str) and auth and not LOGIN_KEYS.intersection(entry) - {"auth"} else None

    def emptied(self, host: str) -> bool:
        """Whether `auths` names the host without a login, as the docker command leaves it to a helper."""
        return host in self._section("auths") and not LOGIN_KEYS.intersection(self._entry(host))

    def names(self, host: str) -> bool:
        """Whether `auths` has an entry under the bare host."""
        return host in self._section("auths")

    def twins(self, host: str) -> tuple[str, ...]:
        """Other keys of `auths` that mean this host as well: `https://HOST`, say, of an old `docker login`."""
        return tuple(
            key for key in self._section("auths") if key != host and _SCHEME.sub("", key).partition("/")[0] == host
        )

    def with_logins(self, logins: Mapping[str, str | None]) -> Document:
        """The same with these logins, by host; None names the host only: a helper keeps the login.

        Other keys of the entries stay (the docker command keeps an old `email`).
        """
        auths = dict(self._section("auths"))
        for host, auth in logins.items():
            auths[host] = {key: value for key, value in self._entry(host).items() if key not in LOGIN_KEYS}
            if auth is not None:
                auths[host]["auth"] = auth
        return Document(self.path, {**self._content, "auths": auths}, self._texts)

    def render(self) -> bytes:
        """The text, indented like the docker command's. A lone half of a surrogate pair stays an escape."""
        try:
            items = ((_quoted(key), ": ", *self._pieces(key, value)) for key, value in self._content.items())
            return "".join((*_braced(items, "\n"), "\n")).encode("utf-8", errors="backslashreplace")
        except RecursionError:
            pass
        raise Failed(Reason.INVALID, f"{self.path}: nested too deeply; {_MEND}")

    def _pieces(self, key: str, value: Any) -> Iterable[str]:
        """A section's text in pieces: a thousand logins are megabytes, which are put together once, not level by level.

        Of them few are new in a write: the text of the others is there already.
        """
        if key != "auths" or not value:
            return (_text_of(value, "\n\t"),)
        for host, entry in value.items():
            if host not in self._texts or self._texts[host][0] is not entry:
                text = _text_of(entry, "\n\t\t")
                self._texts[host] = entry, f"{_quoted(host)}: {text}"
        return _braced((self._texts[host][1:] for host in value), "\n\t")

    def _section(self, name: str) -> dict[str, Any]:
        section = self._content.get(name)
        if section is None:
            return {}
        if not isinstance(section, dict):
            raise _Unreadable(f"`{name}` is no object")
        return section

    def _entry(self, host: str) -> dict[str, Any]:
        entry = self._section("auths").get(host)
        if entry is None:
            return {}
        if not isinstance(entry, dict):
            raise Failed(
                Reason.INVALID, f"{self.path}: `auths` → `{host}` is no object; docker logout {host} or {_MEND}"
            )
        return entry


def _object_in(text: bytes) -> dict[str, Any]:
    """Parse; the parser's own errors carry the whole text, so they are not let out, not even as a context."""
    try:
        decoded = text.decode("utf-8")
        if not decoded.strip(" \t\r\n"):
            return {}
        content = json.loads(
            decoded, parse_int=_Number, parse_float=_Number, parse_constant=_constant, object_pairs_hook=_unique
        )
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 at byte {error.start}"
    except json.JSONDecodeError as error:
        problem = f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
    except RecursionError:
        problem = "nested too deeply"
    else:
        if isinstance(content, dict):
            return content
        problem = "not a JSON object"
    raise _Unreadable(problem)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Unreadable(f"the key {twice[:80]!r} is there twice in one object")
    return content


def _constant(name: str) -> NoReturn:
    raise _Unreadable(f"{name} is no JSON number")


def _text_of(value: Any, line: str) -> str:
    inner = line + "\t"
    if isinstance(value, dict):
        return _object_of({key: _text_of(item, inner) for key, item in value.items()}, line)
    if isinstance(value, list):
        texts = [_text_of(item, inner) for item in value]
        return f"[{inner}{f',{inner}'.join(texts)}{line}]" if texts else "[]"
    return value.text if isinstance(value, _Number) else _quoted(value)


def _object_of(texts: Mapping[str, str], line: str) -> str:
    return "".join(_braced(((_quoted(key), ": ", text) for key, text in texts.items()), line))


def _braced(items: Iterable[Iterable[str]], line: str) -> Iterator[str]:
    """The pieces of an object's text, of the pieces of its items."""
    before = f"{{{line}\t"
    for item in items:
        yield before
        yield from item
        before = f",{line}\t"
    yield f"{line}}}" if before[0] == "," else "{}"


def _quoted(value: str | bool | None) -> str:
    return _JSON.encode(value)
