"""The text of a docker `config.json`: one entry of it is changed, everything else keeps its very text. Pure.

Keys of Go's structs are read as Go reads them, in any case; keys of its maps (hosts) are exact. The file is refused
where the docker command would refuse it, or where a key that is given twice would be lost.
"""

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, Self

import msgspec
from msgspec import Raw

from ....core.model import Failed, Reason

# The parts of an entry that are a login. An identity or registry token would be used instead of `auth`.
LOGIN_KEYS = frozenset({"auth", "username", "password", "identitytoken", "registrytoken"})
_HELPER_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FIX = "Correct the file, or move it away and log in again"
_OBJECT: msgspec.json.Decoder[dict[str, Raw] | None] = msgspec.json.Decoder(dict[str, Raw] | None)
_TEXT: msgspec.json.Decoder[str | None] = msgspec.json.Decoder(str | None)


@dataclass(frozen=True, slots=True)
class Document:
    """A `config.json` as read; `path` is for messages, `uid` is the file's user (root's if there is no file)."""

    path: str
    uid: int
    _content: dict[str, Raw] = field(repr=False)

    @classmethod
    def parse(cls, path: str, text: bytes | None, uid: int = 0) -> Self:
        """Read the text; none, or an empty one, is an empty object, as for the docker command. Raises Failed."""
        text = (text or b"").strip() or b"{}"
        try:
            # msgspec would take duplicate keys, and knows no lines.
            json.loads(
                text.decode(), parse_int=str, parse_float=str, parse_constant=_refuse, object_pairs_hook=_without_twins
            )
            document = cls(path, uid, msgspec.json.decode(text, type=dict[str, Raw]))
        except UnicodeDecodeError as error:
            problem = f"is not UTF-8 at byte {error.start}"
        except json.JSONDecodeError as error:
            problem = f"is not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        except RecursionError:
            problem = "is nested too deeply"
        except _Unreadable as error:
            problem = str(error)
        except msgspec.ValidationError:
            problem = "is not a JSON object"
        except msgspec.MsgspecError:
            problem = "has an escape that stands for no character"
        else:
            document._section("auths")  # raises Failed
            document._section("credHelpers")
            return document
        raise Failed(Reason.INVALID, f"{path} {problem}", _FIX)

    def helper_for(self, host: str, *, by_podman: bool = False) -> str | None:
        """The credential helper that claims the host: in `credHelpers`, else `credsStore`, which Podman leaves out."""
        helpers = self._section("credHelpers")
        named = [helpers[host]] if host in helpers else [] if by_podman else self._values("credsStore")
        try:
            names = [name for name in map(_TEXT.decode, named) if name is not None]
        except msgspec.MsgspecError:
            names = [" "]
        if not names or not names[-1]:
            return None
        if not _HELPER_NAME.fullmatch(names[-1]):
            raise Failed(Reason.INVALID, f"{self.path}: the credential helper for {host} has no valid name", _FIX)
        return names[-1]

    def auth(self, host: str) -> str | None:
        """What `auths` holds for this key; None where that is not a login by name and password."""
        entry = {key.casefold(): value for key, value in self._entry(host).items()}
        if LOGIN_KEYS.intersection(entry) != {"auth"}:
            return None
        with contextlib.suppress(msgspec.MsgspecError):
            return msgspec.json.decode(entry["auth"], type=str) or None
        return None

    def emptied(self, host: str) -> bool:
        """Whether `auths` names the host without a login, as the docker command leaves it to a helper."""
        return self.names(host) and not LOGIN_KEYS.intersection(map(str.casefold, self._entry(host)))

    def names(self, host: str) -> bool:
        """Whether `auths` has an entry under the bare host."""
        return host in self._section("auths")

    def urls(self, host: str) -> tuple[str, ...]:
        """Keys that mean this host as well, `https://HOST` say, of an old `docker login`."""
        meant = re.compile(rf"https?://{re.escape(host)}(?:/|\Z)")
        return tuple(filter(meant.match, self._section("auths")))

    def paths(self, host: str) -> tuple[str, ...]:
        """Keys for a part of this host, `HOST/team` say, which Podman prefers for images below it."""
        return tuple(key for key in self._section("auths") if key.startswith(f"{host}/"))

    def with_logins(self, logins: Mapping[str, str | None]) -> Self:
        """The same with these logins, by host; None names the host only, since a helper keeps the login.

        Other keys of the entries stay (the docker command keeps an old `email`). Raises Failed.
        """
        auths: dict[str, Any] = dict(self._section("auths"))
        for host, auth in logins.items():
            kept: dict[str, Any] = {k: v for k, v in self._entry(host).items() if k.casefold() not in LOGIN_KEYS}
            auths[host] = kept if auth is None else {**kept, "auth": auth}
        section = Raw(msgspec.json.encode(auths))
        content = {"auths" if key.casefold() == "auths" else key: value for key, value in self._content.items()}
        return replace(self, _content={**content, "auths": section})

    def render(self) -> bytes:
        """The text, indented."""
        return msgspec.json.format(msgspec.json.encode(self._content), indent=4) + b"\n"

    def _values(self, name: str) -> list[Raw]:
        return [value for key, value in self._content.items() if key.casefold() == name.casefold()]

    def _section(self, name: str) -> dict[str, Raw]:
        """The object of this name; those that differ in case only are merged, as Go merges maps."""
        section: dict[str, Raw] = {}
        try:
            for value in self._values(name):
                section |= _OBJECT.decode(value) or {}
        except msgspec.MsgspecError:
            raise Failed(Reason.INVALID, f"{self.path}: `{name}` is not an object", _FIX) from None
        return section

    def _entry(self, key: str) -> dict[str, Raw]:
        try:
            return _OBJECT.decode(self._section("auths").get(key, Raw(b"null"))) or {}
        except msgspec.MsgspecError:
            fix = f"Run docker logout {key}, or correct the file"
            raise Failed(Reason.INVALID, f"{self.path}: the entry of {key} is not an object", fix) from None


class _Unreadable(Exception):
    """Says what is wrong without quoting the file."""


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise _Unreadable("has a key twice in one object")
    return content


def _refuse(name: str) -> NoReturn:
    raise _Unreadable(f"holds {name}, which is not a JSON number")
