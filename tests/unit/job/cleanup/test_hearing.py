"""Keeping up with an engine: nothing that has happened is missed in the moment before a removal."""

from __future__ import annotations

import datetime as dt
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ecr_refresher.job.cleanup import hearing as heard
from ecr_refresher.job.cleanup.hearing import Hearing
from ecr_refresher.job.clock import AwsClock

IMAGE = "sha256:" + "1" * 64
NAME = "123456789012.dkr.ecr.us-east-1.amazonaws.com/web:1"


class Streamed:
    """The events of an engine as they come; None is the end."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while (event := self.queue.get()) is not None:
            yield event

    def close(self) -> None:
        self.queue.put(None)


class FakeEngine:
    """What a hearing asks of an engine; its events are in its book before they come over the stream."""

    def __init__(self, clock: AwsClock) -> None:
        self.clock = clock
        self.book: list[dict[str, Any]] = []
        self.stream = Streamed()

    def info(self) -> dict[str, str]:
        now = dt.datetime.fromtimestamp(self.clock.now(), dt.UTC).isoformat()
        return {"ID": "engine", "DockerRootDir": "/var/lib/docker", "SystemTime": now}

    def images(self, **_: object) -> list[dict[str, Any]]:
        return [{"Id": IMAGE, "RepoTags": [NAME], "RepoDigests": [], "ParentId": "", "Size": 1}]

    def containers(self, **_: object) -> list[dict[str, Any]]:
        return []

    def events(self, *, since: str, until: str | None = None, decode: bool) -> Any:
        if until is None:
            return self.stream
        return [event for event in self.book if float(since) <= event["timeNano"] / 1e9 <= float(until)]

    def happen(self, action: str) -> dict[str, Any]:
        event = {
            "Type": "container",
            "Action": action,
            "Actor": {"ID": "c1", "Attributes": {"image": NAME}},
            "timeNano": int(self.clock.now() * 1e9),
        }
        self.book.append(event)
        return event


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(AwsClock())


def test_what_has_happened_and_has_not_come_yet_is_waited_for(engine: FakeEngine) -> None:
    with Hearing(engine, engine.clock, None) as hearing:  # type: ignore[arg-type]
        before = hearing.history.images[IMAGE].used_at
        event = engine.happen("create")
        threading.Timer(0.2, engine.stream.queue.put, [event]).start()
        hearing.catch_up()
        assert hearing.index.containers == {"c1": IMAGE}
        assert hearing.history.images[IMAGE].used_at > before


def test_where_nothing_has_happened_nothing_is_waited_for(engine: FakeEngine) -> None:
    with Hearing(engine, engine.clock, None) as hearing:  # type: ignore[arg-type]
        hearing.catch_up()


@pytest.mark.parametrize("ends", [True, False])
def test_what_does_not_come_is_no_ground_for_a_removal(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    monkeypatch.setattr(heard, "CATCH_UP_S", 0.05)
    with Hearing(engine, engine.clock, None) as hearing:  # type: ignore[arg-type]
        engine.happen("create")
        if ends:
            engine.stream.close()
        with pytest.raises(ConnectionError):
            hearing.catch_up()
