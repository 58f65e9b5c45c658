"""The pages that users read, taken apart: fenced blocks, headings with their anchors, links, command lines."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_OTHERS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "examples/README.md",
    "helm/ecr-refresher/README.md",
)
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in (*(ROOT / name for name in _OTHERS), *sorted((ROOT / "docs").glob("*.md")))
}

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. `line` is where it begins on its page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """The fenced blocks of all pages in these languages; without any, of all."""
    return [block for page in PAGES for block in _blocks_of(page) if not languages or block.language in languages]


def _blocks_of(page: str) -> Iterator[Block]:
    text = PAGES[page].read_text()
    for match in _FENCE.finditer(text):
        body = "".join(line.removeprefix(match[1]) for line in match[3].splitlines(keepends=True))
        yield Block(page, text.count("\n", 0, match.start()) + 1, match[2], body)


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", PAGES[page].read_text())


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings."""
    return {anchor(heading) for heading in re.findall(r"^#{1,6} (.+?)\s*$", prose(page), re.MULTILINE)}


def anchor(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def links(page: str) -> list[str]:
    return _LINK.findall(prose(page))


def commands(text: str) -> list[list[str]]:
    """The words behind `ecr-refresher` of each command line in a shell text, behind a `docker exec NAME` as well."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"\|\|?|&&|;|\$\(|\)|>", line.partition(" #")[0]):
            words = shlex.split(part, comments=True) if "ecr-refresher" in part else []
            at = max((index for index, word in enumerate(words) if word.endswith("ecr-refresher")), default=None)
            if (
                at is not None
                and _is_a_command(words[:at])
                and words[at] in ("ecr-refresher", ".venv/bin/ecr-refresher")
            ):
                found.append(words[at + 1 :])
    return found


def _is_a_command(before: list[str]) -> bool:
    """Whether what stands before a program's name lets it run: nothing, assignments, sudo, or an `exec` elsewhere."""
    if "exec" in before[:3] or before[-1:] == ["--"]:
        return True
    return all(re.fullmatch(r"\w+=\S*|sudo|env|-u|root|airflow", word) for word in before)
