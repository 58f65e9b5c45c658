"""Requests of many threads, done in few acts."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from ecr_refresher.job.sinks.docker.together import REST, REST_MAX_S, Together
from tests.testbed.processes import wait_until


class Act:
    """Doubles numbers; the first act goes on until it is released."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.release = threading.Event(), threading.Event()

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        self.begun.set()
        assert self.release.wait(20)
        if 13 in numbers:
            raise ValueError("thirteen")
        return [2 * number for number in numbers]


def waiting(together: Together[int, int]) -> int:
    return len(together._waiting)


def test_what_comes_during_an_act_shares_the_next_one_and_each_gets_its_own_result() -> None:
    act = Act()
    together = Together(act, 9)
    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(together.do, 0, 20)
        assert act.begun.wait(20)
        others = [threads.submit(together.do, number, 20) for number in range(1, 9)]
        wait_until(lambda: waiting(together) == 8, 20, "all to wait")
        act.release.set()
        assert [first.result(20), *(other.result(20) for other in others)] == [2 * number for number in range(9)]
    assert act.batches[0] == [0]
    assert [sorted(batch) for batch in act.batches[1:]] == [list(range(1, 9))]


def test_what_an_act_raises_is_raised_to_all_who_share_it_and_to_nobody_else() -> None:
    act = Act()
    together = Together(act, 9)
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(together.do, 1, 20)
        assert act.begun.wait(20)
        sharing = [threads.submit(together.do, number, 20) for number in (13, 14)]
        wait_until(lambda: waiting(together) == 2, 20, "both to wait")
        act.release.set()
        assert first.result(20) == 2
        for other in sharing:
            with pytest.raises(ValueError, match="thirteen"):
                other.result(20)
    assert together.do(4, 20) == 8


def test_who_has_waited_for_too_long_leaves_and_is_not_done() -> None:
    act = Act()
    together = Together(act, 9)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(together.do, 1, 20)
        assert act.begun.wait(20)
        with pytest.raises(TimeoutError):
            together.do(2, 0.05)
        act.release.set()
        assert first.result(20) == 2
    assert act.batches == [[1]]


def test_a_rest_follows_each_act_some_times_as_long_as_it_took_but_not_for_ever() -> None:
    now, rests = [100.0], list[float]()

    def sleep(seconds: float) -> None:
        rests.append(seconds)
        now[0] += seconds

    def act(seconds: Sequence[float]) -> Sequence[float]:
        now[0] += sum(seconds)
        return seconds

    together = Together[float, float](act, 9, monotonic=lambda: now[0], sleep=sleep)
    assert together.do(0.01, 20) == 0.01
    assert rests == [], "the first need not wait"
    together.do(20.0, 20)
    assert rests == [pytest.approx(REST * 0.01)]
    together.do(0.0, 20)
    assert rests[1:] == [pytest.approx(REST_MAX_S)]
    now[0] += 60.0
    together.do(0.0, 20)
    assert len(rests) == 2, "who comes later finds it rested"


def test_a_rest_ends_when_so_many_wait_that_no_more_can_come() -> None:
    """Else the last logins of a pass would wait for nobody."""
    batches, now = list[int](), [100.0]

    def act(numbers: Sequence[int]) -> Sequence[int]:
        batches.append(len(numbers))
        now[0] += 1.0 if numbers == [0] else 0.0
        return numbers

    together = Together[int, int](act, 4, monotonic=lambda: now[0])
    together.do(0, 20)
    woken = list[bool]()
    together._sleep = lambda _: woken.append(together._enough.wait(20))  # a rest that would outlast this test
    with ThreadPoolExecutor(4) as threads:
        some = [threads.submit(together.do, number, 20) for number in range(1, 4)]
        wait_until(lambda: waiting(together) == 3, 20, "three to wait")
        assert batches == [1], "they rest: one more may come"
        some.append(threads.submit(together.do, 4, 20))
        assert [future.result(20) for future in some] == [1, 2, 3, 4]
    assert batches == [1, 4]
    assert woken == [True]
    assert not together._enough.is_set(), "the next rest is a whole one again"
