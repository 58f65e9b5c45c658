"""When each image was last used, as far as is known, and since when it is known at all. Pure.

The engine keeps no such time; its events tell (docuum's way). It holds the last 256 of them for whoever comes late.
Where events may have been missed, images count as used at the latest moment at which nobody would have seen it.
Times that end in `_at` are on AWS's clock; `heard_until` is on the engine's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..names import repository

VERSION = 1
IMAGES_MAX = 20_000  # 3 MB of state; beyond, those longest unused are forgotten, and so begin anew
CONTAINERS_MAX = 10_000
NOT_COUNTED = 16  # of those that are kept, at most: events of the very moment in which they were asked for
ENGINE_KEEPS = 256  # events; fewer than this are all since the engine's start (eventsLimit in moby/daemon/events)


@dataclass(frozen=True, slots=True)
class Seen:
    """One image: when it was first there for us, and last used; the same if never.

    An event that is heard late tells the name of then: `names` are those that it had when it was last heard of,
    `repositories` all in which it ever had one.
    """

    first_at: float
    used_at: float
    names: frozenset[str] = frozenset()
    repositories: frozenset[str] = frozenset()
    pulled: frozenset[str] = frozenset()  # those of them that it was seen to come from, or to go to

    def named(self, names: Iterable[str]) -> Seen:
        now = frozenset(names)
        return replace(self, names=now, repositories=self.repositories.union(map(repository, now)))


@dataclass(frozen=True, slots=True)
class History:
    """All that is remembered of one engine."""

    engine: str = ""
    heard_until: float = 0.0  # the newest event that was taken in
    images: Mapping[str, Seen] = field(default_factory=dict)
    containers: Mapping[str, str] = field(default_factory=dict)  # to their images; its end may be heard late

    def used(self, ids: Iterable[str], at: float) -> History:
        """These were used; ones not met before are met now."""
        known = {image_id: self.images.get(image_id, Seen(at, at)) for image_id in ids}
        newer = {image_id: replace(seen, used_at=max(seen.used_at, at)) for image_id, seen in known.items()}
        return replace(self, images={**self.images, **newer}) if newer else self

    def named(self, image_id: str, image_names: Iterable[str], now: float) -> History:
        """This one has these names now, and no other one has them any more."""
        its = frozenset(image_names)
        images = {
            other: replace(seen, names=seen.names - its) if seen.names & its else seen
            for other, seen in self.images.items()
        }
        images[image_id] = images.get(image_id, Seen(now, now)).named(its)
        return replace(self, images=images)

    def pulled(self, found: Mapping[str, str]) -> History:
        """These images are in these repositories of a registry: they were pulled from there, or pushed."""
        images = dict(self.images)
        for image_id, where in found.items():
            seen = images.get(image_id)
            if seen is not None and where not in seen.pulled:
                images[image_id] = replace(seen, pulled=seen.pulled | {where})
        return replace(self, images=images) if found else self

    def heard(self, engine_time: float) -> History:
        return replace(self, heard_until=max(self.heard_until, engine_time))

    def met(self, present: Mapping[str, Iterable[str]], now: float) -> History:
        """These are all that there are, by their names: new ones are first seen now, and what is gone is forgotten.

        A use in the future is one of now: the clock has been set back since.
        """
        images = {}
        for image_id, image_names in present.items():
            seen = self.images.get(image_id, Seen(now, now))
            seen = replace(seen, first_at=min(seen.first_at, now), used_at=min(seen.used_at, now))
            images[image_id] = seen.named(image_names)
        return replace(self, images=images)

    def missed_none(self, oldest: float | None, count: int, *, held: bool) -> bool:
        """Whether all that has happened since is among the engine's kept events: `count`, the oldest from `oldest`.

        It is if an event that was taken in before is still among them, or if the stream was `held` to the very end of
        the engine that it came from, and all since the start of the new one are kept.
        """
        return (oldest is not None and oldest <= self.heard_until) or (held and count < ENGINE_KEEPS - NOT_COUNTED)

    def resumed(self, engine: str, oldest: float | None, count: int, now: float, skew: float, *, held: bool) -> History:
        """Take up again after a pause; see `missed_none`. `skew` is the engine's clock minus AWS's."""
        if engine != self.engine:
            return History(engine)
        if self.missed_none(oldest, count, held=held):
            return self
        blind_until = now if oldest is None else min(now, oldest - skew)
        return self.used(tuple(self.images), blind_until)


def merged(one: History, other: History) -> History:
    """What both know, with the names and containers of the other one: two writers of one file lose nothing."""
    if one.engine != other.engine:
        return other
    images = dict(one.images)
    for image_id, seen in other.images.items():
        known = images.get(image_id, seen)
        images[image_id] = Seen(
            min(known.first_at, seen.first_at),
            max(known.used_at, seen.used_at),
            seen.names,
            known.repositories | seen.repositories,
            known.pulled | seen.pulled,
        )
    return History(one.engine, max(one.heard_until, other.heard_until), images, other.containers)


def dump(history: History) -> bytes:
    newest = sorted(history.images.items(), key=lambda item: -item[1].used_at)[:IMAGES_MAX]
    content = {
        "version": VERSION,
        "engine": history.engine,
        "heard_until": history.heard_until,
        "images": {
            image_id: [seen.first_at, seen.used_at, *map(sorted, (seen.names, seen.repositories, seen.pulled))]
            for image_id, seen in sorted(newest, key=lambda item: item[0])
        },
        "containers": dict(sorted(history.containers.items())[:CONTAINERS_MAX]),
    }
    return json.dumps(content, indent=0).encode() + b"\n"


def load(text: bytes | None) -> History | None:
    """Read a history; None for what is lost, broken, of another version, or makes no sense."""
    try:
        raw = json.loads(text or b"")
        if raw["version"] != VERSION:
            return None
        images = {str(image_id): _seen(*entry) for image_id, entry in raw["images"].items()}
        containers = {str(container): str(image_id) for container, image_id in raw["containers"].items()}
        return History(str(raw["engine"]), _time(raw["heard_until"]), images, containers)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _seen(first_at: Any, used_at: Any, its_names: Any, repositories: Any, pulled: Any = ()) -> Seen:
    sets = (frozenset(map(str, each)) for each in (its_names, repositories, pulled))
    return Seen(_time(first_at), _time(used_at), *sets)


def _time(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("no time")
    return float(value)
