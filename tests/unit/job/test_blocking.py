"""Things that are made once, by whoever asks first."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ecr_refresher.core.model import Failed, Reason
from ecr_refresher.job.blocking import MadeOnce


def test_many_ask_and_one_makes() -> None:
    made: list[int] = []
    all_there = threading.Barrier(8)
    shop = MadeOnce()

    def make() -> str:
        made.append(1)
        return "thing"

    def ask(_: int) -> str:
        all_there.wait(10)
        return shop.get("key", make)

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(8))) == {"thing"}
    assert made == [1]


def test_one_that_hangs_holds_up_only_those_who_need_it() -> None:
    shop = MadeOnce()
    end = threading.Event()
    with pytest.raises(TimeoutError):
        shop.get("slow", lambda: str(end.wait(20)), 0.05)
    assert shop.get("quick", lambda: "thing", 10) == "thing"
    end.set()
    assert shop.get("slow", lambda: "never asked", 10) == "True"


def test_a_failure_is_kept_and_raised_to_each_as_its_own() -> None:
    shop = MadeOnce()

    def make() -> str:
        raise Failed(Reason.DENIED, "refused", "Allow it", retry_after_s=7.0)

    raised = []
    for maker in (make, lambda: "another try"):
        with pytest.raises(Failed) as failed:
            shop.get("key", maker)
        raised.append(failed.value)
    assert raised[0] is not raised[1]
    assert raised[0].failure == raised[1].failure
    assert raised[0].failure.retry_after_s == 7.0


def test_any_other_error_is_raised_too() -> None:
    shop = MadeOnce()
    with pytest.raises(ZeroDivisionError):
        shop.get("key", lambda: str(1 // 0))


SHORT_OF_MEMORY = """
import re, resource
from ecr_refresher.job import blocking
print(blocking.in_time(10, lambda: "once"))
data = int(re.search(r"VmData:\\s+(\\d+)", open("/proc/self/status").read())[1]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (data + (1 << 20), data + (1 << 20)))
try:
    blocking.in_time(10, lambda: "again")
except MemoryError:
    print("too little memory")
"""


def test_without_memory_for_a_thread_a_call_fails_at_once() -> None:
    command = [sys.executable, "-c", SHORT_OF_MEMORY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.splitlines() == ["once", "too little memory"]
