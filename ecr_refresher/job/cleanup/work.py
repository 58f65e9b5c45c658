"""What the steps of one cleanup share: the engine, its history of uses, the rules, the report, and the time left."""

from dataclasses import dataclass

from docker import APIClient

from ...core.plan import Cleanup
from ..aws.clock import AwsClock
from .policy import Registries
from .report import CleanupReport
from .usage.hearing import Hearing


@dataclass(frozen=True, slots=True)
class Work:
    """One cleanup of one engine."""

    api: APIClient
    hearing: Hearing
    rules: Cleanup
    registries: Registries
    record: CleanupReport
    clock: AwsClock
    ends_at: float  # on the boot clock; nothing new starts after it

    def time_is_up(self) -> bool:
        return self.clock.boot() > self.ends_at
