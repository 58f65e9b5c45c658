"""What one cleanup did, or would do: what went, in order, and what stays and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ...core.model import Failure
from .policy import Usage

What = Literal["container", "image", "build_cache", "engine", "disk", "state_file", "events"]


@dataclass(frozen=True, slots=True)
class Gone:
    """One thing that was removed, or would be."""

    what: What
    id: str
    name: str
    why: str
    last_used_at: float | None = None  # of a container: when it ended
    size: int = 0
    freed: int = 0  # no more than `size`: layers may be shared


@dataclass(frozen=True, slots=True)
class Stayed:
    """One thing that stays, and why."""

    what: What
    id: str
    name: str
    why: str
    last_used_at: float | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that failed."""

    what: What
    failure: Failure
    name: str | None = None


@dataclass(slots=True)
class Account:
    """Filled as things happen."""

    dry_run: bool = False
    gone: list[Gone] = field(default_factory=list)
    stayed: list[Stayed] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    before: Usage = field(default_factory=Usage)
    after: Usage = field(default_factory=Usage)
    images: int = 0
    containers: int = 0
    short: bool = False  # a mark is still exceeded, and nothing more may go
    ended: bool = False
