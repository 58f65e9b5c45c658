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

from .names import repository

VERSION = 1
IMAGES_MAX = 20_000  # 3 MB of state; beyond, those longest unused are forgotten, and so begin anew
ENGINE_KEEPS = 256  # events; fewer than this are all since the engine's start (eventsLimit in moby/daemon/events)


@dataclass(frozen=True, slots=True)
class Seen:
    """One image: when it was first there for us, and last used; the same if never.

    `repositories` are all in which it ever had a name: an event that is heard late tells the name of then.
    """

    first_at: float
    used_at: float
    repositories: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class History:
    """All that is remembered of one engine."""

    engine: str = ""
    heard_until: float = 0.0  # the newest event that was taken in
    images: Mapping[str, Seen] = field(default_factory=dict)

    def used(self, ids: Iterable[str], at: float) -> History:
        """These were used; ones not met before are met now."""
        known = {image_id: self.images.get(image_id, Seen(at, at)) for image_id in ids}
        newer = {image_id: replace(seen, used_at=max(seen.used_at, at)) for image_id, seen in known.items()}
        return replace(self, images={**self.images, **newer}) if newer else self

    def named(self, image_id: str, image_names: Iterable[str], now: float) -> History:
        """This one has these names, and perhaps had others."""
        known = self.images.get(image_id, Seen(now, now))
        more = frozenset(map(repository, image_names)) - known.repositories
        if not more and image_id in self.images:
            return self
        named = replace(known, repositories=known.repositories | more)
        return replace(self, images={**self.images, image_id: named})

    def heard(self, engine_time: float) -> History:
        return replace(self, heard_until=max(self.heard_until, engine_time))

    def met(self, present: Mapping[str, Iterable[str]], now: float) -> History:
        """These are all that there are, by their names: new ones are first seen now, and what is gone is forgotten.

        A use in the future is one of now: the clock has been set back since.
        """
        images = {}
        for image_id, image_names in present.items():
            seen = self.images.get(image_id, Seen(now, now))
            repositories = seen.repositories.union(map(repository, image_names))
            images[image_id] = Seen(min(seen.first_at, now), min(seen.used_at, now), repositories)
        return replace(self, images=images)

    def resumed(self, engine: str, oldest: float | None, count: int, now: float, skew: float, *, held: bool) -> History:
        """Take up again after a pause: the engine's kept events are `count`, the oldest from `oldest`.

        Without a gap only if an event that was taken in before is still among them, or if the stream was `held` to
        the very end of the engine that it came from, and all since the start of the new one are kept. `skew` is the
        engine's clock minus AWS's.
        """
        if engine != self.engine:
            return History(engine)
        whole = oldest is not None and oldest <= self.heard_until
        if whole or (held and count < ENGINE_KEEPS):
            return self
        blind_until = now if oldest is None else min(now, oldest - skew)
        return self.used(tuple(self.images), blind_until)


def merged(one: History, other: History) -> History:
    """What both know: two writers of one file lose nothing."""
    if one.engine != other.engine:
        return other
    images = dict(one.images)
    for image_id, seen in other.images.items():
        known = images.get(image_id, seen)
        images[image_id] = Seen(
            min(known.first_at, seen.first_at),
            max(known.used_at, seen.used_at),
            known.repositories | seen.repositories,
        )
    return History(one.engine, max(one.heard_until, other.heard_until), images)


def dump(history: History) -> bytes:
    newest = sorted(history.images.items(), key=lambda item: -item[1].used_at)[:IMAGES_MAX]
    content = {
        "version": VERSION,
        "engine": history.engine,
        "heard_until": history.heard_until,
        "images": {
            image_id: [seen.first_at, seen.used_at, *sorted(seen.repositories)]
            for image_id, seen in sorted(newest, key=lambda item: item[0])
        },
    }
    return json.dumps(content, indent=0).encode() + b"\n"


def load(text: bytes | None) -> History | None:
    """Read a history; None for what is lost, broken, of another version, or makes no sense."""
    try:
        raw = json.loads(text or b"")
        if raw["version"] != VERSION:
            return None
        images = {str(image_id): _seen(*entry) for image_id, entry in raw["images"].items()}
        return History(str(raw["engine"]), _time(raw["heard_until"]), images)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _seen(first_at: Any, used_at: Any, *repositories: Any) -> Seen:
    return Seen(_time(first_at), _time(used_at), frozenset(map(str, repositories)))


def _time(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("no time")
    return float(value)
