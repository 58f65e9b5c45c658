"""Which image an event tells of: at the moment by its name, late by the names of then."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from ecr_refresher.job.cleanup.policy import Container, Image
from ecr_refresher.job.cleanup.usage import events
from ecr_refresher.job.cleanup.usage.events import Event, Gap, Index, parse
from ecr_refresher.job.cleanup.usage.last_use import History

if TYPE_CHECKING:
    from docker import APIClient

WEB, OLD, NEW, OTHER = "registry.example.com/web", "sha256:old", "sha256:new", "sha256:other"
CREATE = Event(20.0, "container", "create", "c1", f"{WEB}:1")


def pull(at: float, name: str = f"{WEB}:1") -> Event:
    return Event(at, "image", "pull", name, name)


def raw(**changed: Any) -> dict[str, Any]:
    """An event as engine 20.10 says it."""
    actor = {"ID": "c1", "Attributes": {"image": f"{WEB}:1", "name": "amazing_bartik"}}
    return {"Type": "container", "Action": "create", "Actor": actor, "time": 20, "timeNano": 20_000_000_000, **changed}


def test_an_event_is_read_as_the_engine_says_it() -> None:
    assert parse(raw()) == CREATE
    assert parse(raw(Action="exec_start: sh -c true")) == Event(20.0, "container", "exec_start", "c1", f"{WEB}:1")
    tag = raw(Type="image", Action="tag", Actor={"ID": OLD, "Attributes": {"name": f"{WEB}:2"}})
    assert parse(tag) == Event(20.0, "image", "tag", OLD, OLD, f"{WEB}:2")


@pytest.mark.parametrize(
    "odd", [raw(Type="network"), raw(Action="top"), raw(Actor=None), {}, None, "create", raw(timeNano="x")]
)
def test_what_says_nothing_of_images_is_passed_over(odd: Any) -> None:
    assert parse(odd) is None


def index(**tagged: str) -> Index:
    images = [Image(image_id, (f"{WEB}:{tag}",), (f"{WEB}@{image_id}",)) for tag, image_id in tagged.items()]
    names = {"old": OLD, "new": NEW, "other": OTHER}
    there = {image.id for image in images}
    images += [Image(each, (), (f"{WEB}@{each}",)) for each in names.values() if each not in there]
    return Index.of(images, ())


def history(of: Index) -> History:
    return History("engine").met(of.ids, 5.0).heard(10.0)


def late(event: Event, before: Index, now: Index, *events: Event, whole: bool = True) -> frozenset[str]:
    gap = Gap(history(before), [*events, event], whole=whole)
    return gap.meant_by(event, now, history(before).met(now.ids, 50.0))


def test_at_the_moment_a_name_means_what_has_it() -> None:
    here = index(**{"1": OLD, "2": OTHER})
    assert here.meant_by(CREATE, history(here)) == {OLD}
    unknown = Event(20.0, "container", "create", "c1", f"{WEB}:gone")
    assert here.meant_by(unknown, history(here)) == {OLD, NEW, OTHER}, "any of its repository"


def test_late_it_means_what_has_it_if_that_has_not_changed() -> None:
    same = index(**{"1": OLD, "2": OTHER})
    assert late(CREATE, same, same) == {OLD}
    assert late(CREATE, same, same, pull(15.0), pull(16.0)) == {OLD}, "pulled before each run, and nothing new"


def test_late_it_means_either_where_the_name_has_moved_on() -> None:
    before, now = index(**{"1": OLD, "2": OTHER}), index(**{"1": NEW, "2": OTHER})
    assert late(CREATE, before, now, pull(15.0)) == {OLD, NEW}


def test_late_it_may_mean_any_of_its_repository_where_the_name_has_moved_twice() -> None:
    before, now = index(**{"1": OLD, "2": OTHER}), index(**{"1": NEW, "2": OTHER})
    assert late(CREATE, before, now, pull(15.0), pull(25.0)) == {OLD, NEW, OTHER}


def tag(at: float, image_id: str, name: str = f"{WEB}:1") -> Event:
    return Event(at, "image", "tag", image_id, image_id, name)


def test_late_it_may_mean_one_that_had_the_name_only_in_between() -> None:
    elsewhere = Index.of([Image(OLD, ("etl:1",)), Image(NEW, (f"{WEB}:1",))], ())
    before = Index.of([Image(OLD, ("etl:1",))], ())
    assert late(CREATE, before, elsewhere, tag(15.0, OLD), tag(25.0, NEW)) == {OLD, NEW}


def test_late_it_may_mean_any_where_the_move_of_the_name_to_it_has_been_missed() -> None:
    before, now = index(**{"1": OLD, "2": OTHER}), index(**{"1": NEW, "2": OTHER})
    assert late(CREATE, before, now, tag(25.0, NEW), whole=True) == {OLD, NEW}
    assert late(CREATE, before, now, tag(25.0, NEW), whole=False) == {OLD, NEW, OTHER}
    gone = index(**{"2": OTHER})
    assert late(CREATE, before, gone, whole=False) == {OLD, NEW, OTHER}
    assert late(CREATE, before, now, tag(15.0, NEW), whole=False) == {OLD, NEW}, "that move is known"
    assert late(CREATE, now, now, whole=False) == {NEW}, "it has not moved since"


def test_late_a_container_means_what_its_name_meant_when_it_was_made() -> None:
    before, now = index(**{"1": OLD, "2": OTHER}), index(**{"1": NEW, "2": OTHER})
    died = Event(30.0, "container", "die", "c1", f"{WEB}:1")
    assert late(died, before, now, CREATE, tag(25.0, NEW)) == {OLD, NEW}
    assert late(died, before, now, tag(15.0, NEW), whole=False) == {OLD, NEW, OTHER}, "when it was made is not known"
    assert late(died, now, now, CREATE, whole=False) == {NEW}


def test_a_container_that_was_known_means_its_image_whatever_its_name_means_now() -> None:
    now = index(**{"1": NEW, "2": OTHER})
    died = Event(20.0, "container", "die", "c1", f"{WEB}:1")
    now.containers["c1"] = OLD
    assert now.meant_by(died, history(now)) == late(died, now, now) == {OLD}


def test_names_come_and_go() -> None:
    here = Index.of([Image(OLD, (f"{WEB}:1",))], [Container("c1", "web", OLD, f"{WEB}:1", "running")])
    here.put(NEW, [f"{WEB}:1"])
    assert here.exact(f"{WEB}:1") == {NEW}
    here.drop(OLD)
    assert here.exact(f"{WEB}:1") == {NEW}
    assert here.exact("busybox") == frozenset()
    here.put(OLD, ["busybox:latest"])
    assert here.exact("busybox") == {OLD}


def test_podmans_events_mean_the_images_that_it_lists_by_their_long_names() -> None:
    here = Index.of([Image(OLD, ("docker.io/library/busybox:1",)), Image(NEW, ("docker.io/acme/x:1",))], ())
    for name, meant in (("docker.io/library/busybox:1", OLD), ("busybox:1", OLD), ("docker.io/acme/x:1", NEW)):
        event = parse({"Type": "image", "Action": "pull", "timeNano": 0, "Actor": {"ID": name}})
        assert event is not None
        assert here.meant_by(event, History("engine")) == {meant}
    here.drop(OLD)
    assert here.exact("busybox:1") == frozenset()


def test_a_flood_of_events_ends_the_stream_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Flooding:
        def events(self, **_: Any) -> Iterator[dict[str, Any]]:
            return itertools.repeat(raw())

    monkeypatch.setattr(events, "UNHEARD_S", 0.01)
    monkeypatch.setattr(events, "UNHEARD_MAX", 100)
    stream = events.Stream(cast("APIClient", Flooding()))
    heard = 0
    while stream.next(10.0) is not None:
        heard += 1
        if heard == 1:
            time.sleep(0.5)  # as long as one of many events takes that asks the engine
    assert heard <= events.UNHEARD_MAX + 2
