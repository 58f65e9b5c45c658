"""Temporary keys of assumed roles: each role of a chain is taken on once a pass, however many registries need it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from ...core.model import Failed, Failure, Secret

SPARE_S = 300.0  # keys are good until so long before their end


@dataclass(frozen=True, slots=True)
class Keys:
    """Temporary keys, and until when (seconds since the epoch, on AWS's clock) they are good."""

    access_key: str = field(repr=False)
    secret_key: Secret = field(repr=False)
    session_token: Secret = field(repr=False)
    expires_at: float


class _Cell:
    """One role's keys. Who comes second waits for the first and takes its answer; other roles have other cells."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.keys: Keys | None = None
        self.failure: Failure | None = None


class AssumedRoles:
    """A cache for one pass. Failures are kept as well: the schedule is the only retry layer."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()  # for the table only; never held during a call
        self._cells: dict[Hashable, _Cell] = {}

    def get(self, role: Hashable, take_on: Callable[[], Keys]) -> Keys:
        """Give the role's keys; take it on if nobody has, or if they are near their end. Raises Failed."""
        with self._lock:
            cell = self._cells.setdefault(role, _Cell())
        with cell.lock:
            if cell.failure is not None:
                failure = cell.failure
                raise Failed(failure.reason, failure.message)
            if cell.keys is None or self._now() >= cell.keys.expires_at - SPARE_S:
                try:
                    cell.keys = take_on()
                except Failed as error:
                    cell.failure = error.failure
                    raise
            return cell.keys
