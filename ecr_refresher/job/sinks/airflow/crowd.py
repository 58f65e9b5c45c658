"""What spares an Airflow that many daemons come to in the same moment: whoever is answered late goes on at random.

A daemon alone is answered within milliseconds, and never waits. But each process of Airflow 3's API server has 15
database connections, and asks for one more in its event loop, for each request with a login (RevokedToken.is_revoked in
3.3): 16 such requests at a time hold it up altogether, for the 30 s until its connection pool gives up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

PROMPT_S = 0.02  # an answer within this shows no crowd
SPREAD = 200.0  # those who are answered later than that go on over two hundred times as much time,
CALM = 0.2  # and in the first fifth of it nobody does: the first rush has to be over
SPREAD_MAX_S = 12.0


def pause(took_s: float, longest_s: float, roll: float) -> float:
    """How long to wait after an answer that took so long, `longest_s` at most; `roll` is drawn evenly from [0, 1)."""
    spread_s = min(SPREAD * (took_s - PROMPT_S), longest_s, SPREAD_MAX_S)
    return max(0.0, spread_s) * (CALM + (1 - CALM) * roll)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Measures how late the answers are, and waits."""

    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    roll: Callable[[], float]
    longest_pause_s: float

    @property
    def waits(self) -> bool:
        return self.longest_pause_s > 0

    def make_room(self, ask: Callable[[], T]) -> T:
        """Give the answer to a question that costs Airflow little, and wait for longer, the later it came.

        A late one is asked for once more: of the first, making the connection may have taken most of the time.
        """
        answer, took_s = self._timed(ask)
        if took_s > PROMPT_S and self.waits:
            answer, took_s = self._timed(ask)
            self.sleep(pause(took_s, self.longest_pause_s, self.roll()))
        return answer

    def _timed(self, ask: Callable[[], T]) -> tuple[T, float]:
        began = self.monotonic()
        return ask(), self.monotonic() - began
