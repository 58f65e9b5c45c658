"""Ten thousand daemons on one connection, for a year of 12-hour tokens: writes per renewal stay few.

Nobody but the first few of each renewal ever acts, so only these are drawn: the earliest of n even draws, one after
the other, by their exact distribution. Each acts as a daemon does: a look when due, then fetch, proof and write.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from ecr_refresher.core import decide, schedule
from ecr_refresher.core.decide import Need
from ecr_refresher.core.model import Holding
from ecr_refresher.core.plan import Refresh
from ecr_refresher.core.wire import Order

LIFE = 43200.0
YEAR_S = 365 * 86400.0
RULES = Refresh()


def earliest(rng: random.Random, clients: int) -> Iterator[float]:
    """The draws of all clients in [0, 1), in ascending order, made one by one."""
    drawn = 0.0
    for left in range(clients, 0, -1):
        drawn = 1.0 - (1.0 - drawn) * (1.0 - rng.random()) ** (1.0 / left)
        yield drawn


def renewal(rng: random.Random, clients: int, issued_at: float) -> tuple[int, float]:
    """One renewal: how many write, and when the last token that was written had been issued.

    The connection holds what was issued at `issued_at`, and every client knows it.
    """
    until = issued_at + LIFE
    dues = (schedule.renewal_at(issued_at, until, RULES, roll) for roll in earliest(rng, clients))
    writes: list[tuple[float, float]] = []  # (when it is done, what is recorded then), the next one first
    recorded, writers, spared, newest = until, 0, 0, issued_at
    for due in dues:
        looks_at = due + rng.uniform(0.3, 1.0)  # a worker starts
        while writes and writes[0][0] <= looks_at:
            _, recorded = heapq.heappop(writes)
        need = decide.need(Holding(recorded), Order("sink", "registry", until, due=True), looks_at, LIFE, RULES)
        if need is Need.NONE:
            spared += 1
            if spared == 20 and not writes:  # all that come later see the same
                break
            continue
        assert need is Need.DUE
        writes_at = looks_at + rng.uniform(0.5, 3.0)  # fetch, proof, PATCH
        newest = looks_at
        heapq.heappush(writes, (writes_at, float(int(newest + LIFE))))
        writers += 1
    while writes:
        newest = heapq.heappop(writes)[1] - LIFE
    return writers, newest


@pytest.mark.parametrize("clients", [1, 50, 1000, 10_000])
def test_writes_per_renewal_do_not_grow_with_the_number_of_daemons(clients: int) -> None:
    rng = random.Random(clients)
    now, counts = 0.0, Counter[int]()
    while now < YEAR_S:
        writers, now = renewal(rng, clients, now)
        counts[writers] += 1
    renewals, writes = counts.total(), sum(number * times for number, times in counts.items())
    print(f"{clients} clients, {renewals} renewals in a year, {writes / renewals:.2f} writes each on average:")
    for number, times in sorted(counts.items()):
        print(f"  {number:3d} writes: {times:4d} {'#' * (60 * times // renewals)}")
    assert writes / renewals <= 3
    assert renewals >= YEAR_S / (LIFE * (RULES.at_fraction + RULES.jitter))
    assert max(counts) <= 30
