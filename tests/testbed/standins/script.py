"""What a stand-in does wrong, and when: faults in a queue, and standing ones.

The faults here are those of any server; each stand-in may add its own kinds.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from .honest import server
from .honest.server import Reply
from .serving import Exchange

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Delay:
    """The right answer, late."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """No answer: the connection is closed; `processed` says whether the request took effect before."""

    processed: bool = True


@dataclass(frozen=True, slots=True)
class HalfAnswer:
    """The request takes effect, but the connection is closed in the middle of the answer's body."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Another answer than one that the protocol knows; the request takes no effect."""

    body: bytes = b"{"
    status: int = 200
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Endless:
    """The request takes effect, but the answer's body never ends: a piece every so many seconds, valid JSON so far."""

    every_s: float = 0.05


WireFault = Delay | Cut | HalfAnswer | Malformed | Endless


def before(exchange: server.Exchange, fault: object) -> bool:
    """Do what a wire fault does before the request takes effect. Return true if that finishes the request."""
    assert isinstance(exchange, Exchange)
    match fault:
        case Delay(seconds):
            exchange.server.stand_in.pause(seconds)
        case Cut(processed=False):
            exchange.cut()
            return True
        case Malformed(body, status, content_type):
            exchange.send(Reply(status, body, content_type))
            return True
    return False


def after(exchange: server.Exchange, fault: object, reply: Reply) -> None:
    """Send the answer, as whole as the fault leaves it."""
    assert isinstance(exchange, Exchange)
    match fault:
        case Cut():
            exchange.cut()
        case HalfAnswer():
            exchange.send_half(reply)
        case Endless(every_s):
            exchange.send_for_ever(reply, every_s)
        case _:
            exchange.send(reply)


@dataclass(frozen=True, slots=True)
class _Rule(Generic[F]):
    fault: F
    where: Mapping[str, str]

    def matches(self, request: Mapping[str, str]) -> bool:
        return all(request.get(name) == value for name, value in self.where.items())


class Script(Generic[F]):
    """A queue of faults, and standing faults behind it; thread-safe.

    Each fault may be bound to requests of some kind: `where` names what a request must be, e.g. its region.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: list[_Rule[F]] = []
        self._standing: list[_Rule[F]] = []
        self._each: list[tuple[int, _Rule[F]]] = []
        self._met: list[int] = []

    def next(self, faults: tuple[F, ...], where: Mapping[str, str]) -> None:
        """Put faults at the queue's end, one for each matching request."""
        with self._lock:
            self._queue += [_Rule(fault, where) for fault in faults]

    def always(self, fault: F, where: Mapping[str, str]) -> None:
        """Let every matching request meet the fault, whenever the queue holds none for it; the latest one wins."""
        with self._lock:
            self._standing.insert(0, _Rule(fault, where))

    def every(self, nth: int, fault: F, where: Mapping[str, str]) -> None:
        """Let one matching request in `nth` meet the fault, the `nth` one first, if no other fault is meant for it."""
        with self._lock:
            self._each.append((nth, _Rule(fault, where)))
            self._met.append(0)

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._queue.clear()
            self._standing.clear()
            self._each.clear()
            self._met.clear()

    def take(self, request: Mapping[str, str]) -> F | None:
        """Give the fault that this request meets, and take it off the queue."""
        with self._lock:
            for index, rule in enumerate(self._queue):
                if rule.matches(request):
                    return self._queue.pop(index).fault
            for index, (nth, rule) in enumerate(self._each):
                if rule.matches(request):
                    self._met[index] += 1
                    if self._met[index] % nth == 0:
                        return rule.fault
            return next((rule.fault for rule in self._standing if rule.matches(request)), None)
