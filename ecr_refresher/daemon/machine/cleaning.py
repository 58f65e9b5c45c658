"""What the daemon knows of the cleanup: its two children, what they did, and when the next one is due."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import TypeVar

from ...core import wire
from ...core.model import Failure, Reason
from ...core.plan import Cleanup

HEAR_WITHIN_S = 30.0  # a cleanup waits this long for the listener, then uses what events the engine has kept


Key = TypeVar("Key")


def counted(counts: Mapping[Key, int], key: Key) -> Mapping[Key, int]:
    """The counts with one more of this."""
    return {**counts, key: counts.get(key, 0) + 1}


@dataclass(frozen=True, slots=True)
class Child:
    """A running listener or cleanup."""

    job: wire.Job
    rules: Cleanup
    offset: float = 0.0  # AWS's time minus the boot clock, as known when it started
    killed: bool = False
    swept: wire.Swept | None = None
    done: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """What one cleanup did."""

    at: float | None = None  # when it ended, on AWS's clock
    removed: Mapping[str, int] = field(default_factory=dict)  # what -> how many; in a dry run, what would go
    freed: int = 0
    failures: int = 0
    swept: wire.Swept | None = None


@dataclass(frozen=True, slots=True)
class Cleaning:
    """The children and their runs; counts are since the daemon's start."""

    listener: Child | None = None
    hears: bool = False
    listen_boot: float = 0.0
    listen_tries: int = 0
    listening_since_boot: float = 0.0
    sweep: Child | None = None
    sweep_boot: float = 0.0
    current: Run = field(default_factory=Run)
    last: Run = field(default_factory=Run)
    last_success_at: float | None = None
    failure: Failure | None = None
    failed_at: float | None = None
    removed: Mapping[str, int] = field(default_factory=dict)
    freed: int = 0
    failures: Mapping[tuple[str, Reason], int] = field(default_factory=dict)

    def owns(self, job: int) -> bool:
        """Whether the job is one of the cleanup's children."""
        return any(child is not None and child.job.id == job for child in (self.listener, self.sweep))

    @property
    def sweep_due_boot(self) -> float:
        """When the next cleanup starts; it waits a little for the listener."""
        heard = self.hears or self.listener is None
        return self.sweep_boot if heard else max(self.sweep_boot, self.listening_since_boot + HEAR_WITHIN_S)

    def next_boot(self, rules: Cleanup | None) -> float:
        """The next deadline, on the boot clock."""
        moments = [] if self.sweep is None or self.sweep.killed else [self.sweep.job.ends_at]
        if rules is not None and rules.enabled:
            moments += [self.listen_boot] if self.listener is None else []
            moments += [self.sweep_due_boot] if self.sweep is None else []
        return min(moments, default=inf)
