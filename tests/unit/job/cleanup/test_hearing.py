"""Keeping up with an engine: nothing that has happened is missed in the moment before a removal."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from msgspec import structs

from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.cleanup.usage import hearing as heard
from ecr_refresher.job.cleanup.usage.hearing import Hearing
from ecr_refresher.job.cleanup.usage.last_use import History

from .fake_engine import FakeEngine

IMAGE, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64
REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/web"
NAME = f"{REPOSITORY}:1"


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine(AwsClock())
    engine.add(IMAGE, NAME)
    engine.add(OTHER, "busybox:1")
    return engine


def hear(engine: FakeEngine, history: History | None = None) -> Hearing:
    return Hearing(engine, engine.clock, history)  # type: ignore[arg-type]


def test_what_has_happened_and_has_not_come_yet_is_waited_for(engine: FakeEngine) -> None:
    with hear(engine) as hearing:
        before = hearing.history.images[IMAGE].used_at
        event = engine.happen("container", "create", "c1", image=NAME)
        threading.Timer(0.2, engine.stream.queue.put, [event]).start()
        hearing.catch_up()
        assert hearing.index.containers == {"c1": IMAGE}
        assert hearing.history.images[IMAGE].used_at > before


def test_where_nothing_has_happened_nothing_is_waited_for(engine: FakeEngine) -> None:
    with hear(engine) as hearing:
        hearing.catch_up()


@pytest.mark.parametrize("ends", [True, False])
def test_what_does_not_come_is_no_ground_for_a_removal(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    monkeypatch.setattr(heard, "CATCH_UP_S", 0.05)
    with hear(engine) as hearing:
        engine.happen("container", "create", "c1", image=NAME)
        if ends:
            engine.stream.close()
        with pytest.raises(ConnectionError):
            hearing.catch_up()


def test_a_clock_of_the_engine_that_was_ahead_is_a_gap_and_no_end_of_all_removals(engine: FakeEngine) -> None:
    with hear(engine) as hearing:
        ahead = replace(hearing.remembered(), heard_until=engine.now() + 86400)
    long_ago = {image: structs.replace(seen, used_at=10.0) for image, seen in ahead.images.items()}
    engine.stream = type(engine.stream)()
    began = engine.clock.now()
    with hear(engine, replace(ahead, images=long_ago)) as hearing:
        assert all(seen.used_at >= began for seen in hearing.history.images.values()), "who knows what was missed"
        assert hearing.history.heard_until < engine.now()
        hearing.catch_up()


def test_of_another_engine_nothing_is_known(engine: FakeEngine) -> None:
    began = engine.clock.now()
    with hear(engine, History("other").met({IMAGE: (), OTHER: ()}, 10.0).heard(engine.now())) as hearing:
        assert hearing.history.engine == "engine"
        assert all(seen.first_at >= began for seen in hearing.history.images.values())


def test_a_clock_of_the_engine_that_is_set_back_while_it_is_heard_stops_no_removal(engine: FakeEngine) -> None:
    engine.told = True
    with hear(engine) as hearing:
        engine.happen("container", "create", "c1", image=NAME)
        hearing.catch_up()
        engine.ahead_s = -3600.0
        hearing.catch_up()


def test_what_a_container_runs_of_is_in_use_though_its_end_is_never_told(engine: FakeEngine) -> None:
    """An engine that was killed finds its containers ended when it comes back, and tells nobody."""
    engine.told = True
    engine.run("c1", IMAGE, NAME, "running")
    engine.run("c2", OTHER, "busybox:1", "exited")
    engine.happen("container", "top", "c1")["timeNano"] = int(15e9)  # the engine has kept all since then
    with hear(engine, History("engine").met({IMAGE: (), OTHER: ()}, 10.0).heard(20.0)) as hearing:
        assert hearing.history.images[IMAGE].used_at > 10.0
        assert hearing.history.images[OTHER].used_at == 10.0
        assert hearing.index.in_use() == {IMAGE}
        engine.happen("container", "start", "c2", image="busybox:1")
        engine.happen("container", "die", "c1", image=NAME)
        hearing.catch_up()
        assert hearing.index.in_use() == {OTHER}
        before = hearing.history.images[OTHER].used_at
        hearing.still_used()
        assert hearing.history.images[OTHER].used_at > before


@pytest.mark.parametrize("name", ["docker.io/library/busybox:1", "index.docker.io/busybox:1", "2222", "nobody-knows"])
def test_a_container_is_of_its_image_however_that_was_spelled(engine: FakeEngine, name: str) -> None:
    engine.told = True
    with hear(engine) as hearing:
        engine.run("c1", OTHER, name, "created")
        engine.happen("container", "create", "c1", image=name)
        hearing.catch_up()
        assert hearing.index.containers == {"c1": OTHER}


def test_where_an_image_came_from_is_remembered(engine: FakeEngine) -> None:
    engine.told = True
    with hear(engine) as hearing:
        assert hearing.history.images[IMAGE].pulled == frozenset()
        engine.happen("image", "pull", NAME, name=REPOSITORY)
        hearing.catch_up()
        assert hearing.history.images[IMAGE].pulled == {REPOSITORY}
        assert hearing.history.images[OTHER].pulled == frozenset()
    engine.stream = type(engine.stream)()
    with hear(engine, hearing.remembered()) as hearing:
        assert hearing.history.images[IMAGE].pulled == {REPOSITORY}
    engine.stream = type(engine.stream)()
    with hear(engine) as hearing:
        assert hearing.history.images[IMAGE].pulled == {REPOSITORY}, "heard late"


# --- Podman: no past events, another id at each question, pulls without an id -----------------------------------------
@pytest.fixture
def podman() -> FakeEngine:
    engine = FakeEngine(AwsClock(), told=True, podman=True)
    engine.add(IMAGE, NAME)
    engine.add(OTHER, "busybox:1")
    return engine


def long_ago(hearing: Hearing) -> History:
    history = hearing.remembered()
    return replace(
        history, images={image: structs.replace(seen, used_at=10.0) for image, seen in history.images.items()}
    )


def test_what_podman_has_at_the_first_look_counts_as_used_then_and_after_a_pause_again(podman: FakeEngine) -> None:
    began = podman.clock.now()
    with hear(podman) as hearing:
        assert all(seen.used_at >= began for seen in hearing.history.images.values())
    podman.stream = type(podman.stream)()
    with hear(podman, long_ago(hearing)) as again:
        assert all(seen.used_at >= began for seen in again.history.images.values())
        assert again.history.images.keys() == {IMAGE, OTHER}


def test_what_the_listener_has_heard_of_podman_counts_in_a_cleanup_beside_it(podman: FakeEngine) -> None:
    with hear(podman) as hearing:
        known = long_ago(hearing)
    podman.stream = type(podman.stream)()
    with Hearing(podman, podman.clock, known, held=True) as beside:  # type: ignore[arg-type]
        beside.catch_up()
        assert {seen.used_at for seen in beside.history.images.values()} == {10.0}
        podman.happen("image", "pull", "", name=NAME)
        podman.happen("container", "create", "c1", image="busybox:1")
        beside.catch_up()
        assert min(seen.used_at for seen in beside.history.images.values()) > 10.0
        assert beside.history.images[IMAGE].pulled == {REPOSITORY}
        podman.happen("container", "remove", "c1", image="busybox:1")
        beside.catch_up()
        assert beside.index.containers == {}


def test_a_removal_that_podman_tells_of_and_then_refuses_forgets_nothing(podman: FakeEngine) -> None:
    with hear(podman) as hearing:
        podman.happen("image", "delete", IMAGE.removeprefix("sha256:"), name=NAME)
        hearing.catch_up()
        assert IMAGE in hearing.index.ids
        podman.remove_image(IMAGE)
        podman.happen("image", "delete", IMAGE.removeprefix("sha256:"), name=NAME)
        hearing.catch_up()
        assert IMAGE not in hearing.index.ids


def test_an_end_of_podmans_events_before_a_removal_is_an_error(podman: FakeEngine) -> None:
    with hear(podman) as hearing:
        podman.stream.close()
        with pytest.raises(ConnectionError):
            hearing.catch_up()
