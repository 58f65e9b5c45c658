"""What can happen to the daemon, and what it can be told to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ...core import wire
from ...core.plan import Plan


@dataclass(frozen=True, slots=True)
class Turn:
    """The loop came round; `files` are the witnesses of the watched files, `wall` and `mono` what those clocks say."""

    wall: float
    mono: float
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reported:
    """A worker said something."""

    job: int
    line: wire.Line


@dataclass(frozen=True, slots=True)
class Exited:
    """The worker is gone; `how` is fit for a message: 'exit status 0', 'killed by signal 9'.

    It is the pass's; `job` names a child of the cleanup.
    """

    how: str
    job: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody wants something, by a signal."""

    what: Literal["refresh", "reload", "stop"]


Event = Turn | Reported | Exited | Asked


@dataclass(frozen=True, slots=True)
class Start:
    """Have a worker do this job."""

    job: wire.Job


@dataclass(frozen=True, slots=True)
class Kill:
    """End the worker and all that it has started, now: the pass's, or a child of the cleanup by its `job`."""

    job: int | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """End the daemon with this status."""

    code: int
    settings_errors: tuple[str, ...] = ()  # told to people, who are there at the start


@dataclass(frozen=True, slots=True)
class Say:
    """A log line."""

    level: Literal["info", "warning", "error"]
    event: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Adopt:
    """A plan is in force from now on: serve and log as it says."""

    plan: Plan
    first: bool


Action = Start | Kill | Exit | Say | Adopt
