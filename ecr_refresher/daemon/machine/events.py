"""The events that the step takes in, and the actions that it asks for."""

from dataclasses import dataclass, field
from typing import Any, Literal, Self

from ...core import wire
from ...core.model import Failure
from ...core.plan import Plan


@dataclass(frozen=True, slots=True)
class Turn:
    """The loop turned. `wall` and `mono` are readings of those clocks, `files` the witnesses of the watched files."""

    wall: float
    mono: float
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reported:
    """A worker reported these lines, all for this job."""

    job: int
    lines: tuple[wire.Line, ...]


@dataclass(frozen=True, slots=True)
class Exited:
    """The pass's worker ended; with `job`, a child of the cleanup.

    `how` is fit for a message, like 'exit status 0'; `fix` is what the user can do about it, if anything.
    """

    how: str
    job: int | None = None
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A signal asked for this."""

    what: Literal["refresh", "reload", "stop"]


Event = Turn | Reported | Exited | Asked


@dataclass(frozen=True, slots=True)
class Start:
    """Start a worker for this job."""

    job: wire.Job


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill the pass's worker and every process that it started; with `job`, that child of the cleanup."""

    job: int | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """End the daemon with this status."""

    code: int
    settings_errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Say:
    """Write a log line."""

    level: Literal["info", "warning", "error"]
    event: str
    fields: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def failure(cls, event: str, failure: Failure, **more: Any) -> Self:
        """An error line about a failure."""
        return cls("error", event, {**failure.fields, **more})


@dataclass(frozen=True, slots=True)
class Adopt:
    """Serve and log as this plan says."""

    plan: Plan


Action = Start | Kill | Exit | Say | Adopt
