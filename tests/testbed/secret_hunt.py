"""The hunt for secrets: every output of the product that the tests saw, against every secret they used.

`Secrets` collects what must not appear; `Outputs` keeps what was seen, as files; `hunt` looks for one in the other:
raw, base64 (at any offset), JSON-escaped, URL-quoted, and pieces of long ones, as a cut-off message would show.
What it reports names the file, never the secret.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

SHORTEST = 8
PIECE = 32


class Secrets:
    """Every token, password and key that a test has used."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._sources: list[Callable[[], Iterable[str]]] = []

    def add(self, *secrets: str) -> str:
        """Add secrets; returns the first, so that a call can stand where the secret is used."""
        for secret in secrets:
            if len(secret) < SHORTEST:
                raise ValueError(
                    f"a secret of {len(secret)} characters would be found everywhere: use {SHORTEST} or more"
                )
            self._seen.add(secret)
        return secrets[0]

    def follow(self, source: Callable[[], Iterable[str]]) -> None:
        """Add what `source()` gives when the hunt begins: all tokens that a book has issued by then, say."""
        self._sources.append(source)

    def __iter__(self) -> Iterator[str]:
        for source in self._sources:
            self._seen.update(source())
        self._sources.clear()
        return iter(sorted(self._seen))


class Outputs:
    """A directory of everything that the product said."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._kept: set[bytes] = set()
        self._names: dict[str, int] = {}

    def path(self, name: str) -> Path:
        """A new file for an output; a name used before gets a number."""
        name = re.sub(r"[^\w.=@-]+", "-", name).strip("-")[-120:]
        count = self._names[name] = self._names.get(name, 0) + 1
        self.directory.mkdir(parents=True, exist_ok=True)
        return self.directory / (name if count == 1 else f"{name}~{count}")

    def keep(self, name: str, body: str | bytes) -> None:
        """Append `body` to the file `name`; one that was kept before, byte for byte, is not kept twice."""
        raw = body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body
        digest = hashlib.sha256(raw).digest()
        if not raw or digest in self._kept:
            return
        self._kept.add(digest)
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / re.sub(r"[^\w.=@-]+", "-", name)[-120:]).open("ab") as file:
            file.write(raw + b"\n")


def hunt(secrets: Iterable[str], directory: Path) -> list[str]:
    """Say where under `directory` a secret stands, as 'FILE, line N: a secret (raw)'. Empty: nowhere."""
    if not directory.exists():
        return []
    needles: dict[bytes, str] = {}
    for secret in secrets:
        for needle, form in forms(secret):
            needles.setdefault(needle, form)
    by_start: dict[bytes, list[bytes]] = {}
    for needle in needles:
        by_start.setdefault(needle[:SHORTEST], []).append(needle)
    found: list[str] = []
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        body = path.read_bytes()
        lines = sorted(
            {
                (body.count(b"\n", 0, at) + 1, needles[needle])
                for at in range(len(body) - SHORTEST + 1)
                for needle in by_start.get(body[at : at + SHORTEST], ())
                if body.startswith(needle, at)
            }
        )
        found += [f"{path.relative_to(directory)}, line {line}: a secret ({form})" for line, form in lines]
    return found


def forms(secret: str) -> Iterator[tuple[bytes, str]]:
    """Every form in which a secret could be printed."""
    raw = secret.encode()
    yield raw, "raw"
    yield json.dumps(secret)[1:-1].encode(), "JSON"
    yield json.dumps(secret, ensure_ascii=False)[1:-1].encode(), "JSON"
    yield repr(secret)[1:-1].encode(), "repr"
    for quoted in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield quoted.encode(), "URL"
    # The part of base64 that is the same whatever stands before and after the secret: `AWS:` and a newline, say.
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + raw)
        fixed = encoded[-(-offset * 8 // 6) : (offset + len(raw)) * 8 // 6]
        if len(fixed) >= SHORTEST:
            yield fixed, "base64"
            yield fixed.translate(bytes.maketrans(b"+/", b"-_")), "base64"
            yield from ((piece, "a piece of its base64") for piece in pieces(fixed))
    yield from ((piece, "a piece of it") for piece in pieces(raw))


def pieces(raw: bytes) -> Iterator[bytes]:
    """Parts that a cut-off message would show; none of a short secret."""
    if len(raw) >= 2 * PIECE:
        for start in (0, len(raw) // 4, len(raw) // 2, 3 * len(raw) // 4, len(raw) - PIECE):
            yield raw[start : start + PIECE]
