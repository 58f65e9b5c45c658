"""Watched files: what is told of them while one is slow, or never answers."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ecr_refresher.daemon import file_watch
from ecr_refresher.daemon.file_watch import FileWatch


@pytest.fixture
def delay(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path, threading.Event], None]]:
    """`delay(file, until)`: its stat takes until that is set, as on a file system that hangs."""
    delayed: dict[str, threading.Event] = {}
    stat = os.stat

    def slow(path: Any, **how: Any) -> os.stat_result:
        if (until := delayed.get(str(path))) is not None:
            until.wait(30)
        return stat(path, **how)

    monkeypatch.setattr(os, "stat", slow)
    monkeypatch.setattr(file_watch, "LOOK_S", 0.05)
    yield lambda file, until: delayed.update({str(file): until})
    for until in delayed.values():
        until.set()


def test_a_change_is_seen_at_the_next_look(tmp_path: Path) -> None:
    file = tmp_path / "config.json"

    async def looks() -> list[str]:
        watch = FileWatch()
        missing = await watch.look({str(file)})
        file.write_text("{}")
        return [seen[str(file)] for seen in (missing, await watch.look({str(file)}), await watch.look({str(file)}))]

    missing, written, unchanged = asyncio.run(looks())
    assert missing != written == unchanged


def test_a_slow_file_is_told_when_it_has_answered_and_is_not_called_dead(
    tmp_path: Path, delay: Callable[[Path, threading.Event], None], capfd: pytest.CaptureFixture[str]
) -> None:
    slow, answers = tmp_path / "slow", threading.Event()
    slow.write_text("")
    delay(slow, answers)

    async def looks() -> list[set[str]]:
        watch = FileWatch()
        first = await watch.look([str(slow)])
        answers.set()
        return [set(first), set(await watch.look([str(slow)]))]

    assert asyncio.run(looks()) == [set(), {str(slow)}]
    assert "file_hangs" not in capfd.readouterr().err


def test_a_file_that_hangs_is_left_out_and_keeps_its_last_witness_until_it_answers(
    tmp_path: Path, delay: Callable[[Path, threading.Event], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_watch, "HANGS_S", 0.2)
    dead, well, answers = tmp_path / "dead", tmp_path / "well", threading.Event()
    dead.write_text("")
    paths = [str(dead), str(well)]

    async def looks() -> None:
        watch = FileWatch()
        before = await watch.look(paths)
        delay(dead, answers)
        assert await watch.look(paths) == before
        well.write_text("")
        ends_at = time.monotonic() + 5
        while (seen := await watch.look(paths))[str(well)] == before[str(well)] and time.monotonic() < ends_at:
            await asyncio.sleep(0.01)
        assert seen[str(well)] != before[str(well)]
        assert seen[str(dead)] == before[str(dead)]
        dead.write_text("more")
        answers.set()
        while (seen := await watch.look(paths))[str(dead)] == before[str(dead)] and time.monotonic() < ends_at:
            await asyncio.sleep(0.01)
        assert seen[str(dead)] != before[str(dead)]

    asyncio.run(looks())
