"""When each image was last used, as far as is known, and since when it is known at all. Pure.

The engine keeps no such time; its events tell (docuum's way). It holds the last 256 of them for whoever comes late.
Where events may have been missed, images count as used at the latest moment at which nobody would have seen it.
Times that end in `_at` are on AWS's clock; `heard_until` is on the engine's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from msgspec import MsgspecError, Struct, json, structs

from ..names import repository

IMAGES_MAX = 20_000  # 3 MB of state; beyond that the longest unused are forgotten, and count as new
CONTAINERS_MAX = 10_000
NOT_COUNTED = 16  # of those that are kept, at most: events of the very moment in which they were asked for
ENGINE_KEEPS = 256  # events; fewer than this are all since the engine's start (eventsLimit in moby/daemon/events)


class Seen(Struct, frozen=True, array_like=True):
    """One image: when it was first seen, and last used; the same time if never.

    An event that is heard late tells the name of then: `names` are those that it had when it was last heard of,
    `repositories` all in which it ever had one.
    """

    first_at: float
    used_at: float
    names: frozenset[str] = frozenset()
    repositories: frozenset[str] = frozenset()
    pulled: frozenset[str] = frozenset()  # those of them that it was pulled from or pushed to

    def named(self, names: Iterable[str]) -> Seen:
        now = frozenset(names)
        return structs.replace(self, names=now, repositories=self.repositories.union(map(repository, now)))


@dataclass(frozen=True, slots=True)
class History:
    """All that is remembered of one engine."""

    engine: str = ""
    heard_until: float = 0.0  # the newest event that was taken in
    images: Mapping[str, Seen] = field(default_factory=dict)
    containers: Mapping[str, str] = field(default_factory=dict)  # to their images; its end may be heard late

    def used(self, ids: Iterable[str], at: float) -> History:
        """Note that these were used; unknown ones count as first seen now."""
        known = {image_id: self.images.get(image_id, Seen(at, at)) for image_id in ids}
        newer = {image_id: structs.replace(seen, used_at=max(seen.used_at, at)) for image_id, seen in known.items()}
        return replace(self, images={**self.images, **newer}) if newer else self

    def named(self, image_id: str, image_names: Iterable[str], now: float) -> History:
        """Give this one these names, and take them from all others."""
        its = frozenset(image_names)
        images = {
            other: structs.replace(seen, names=seen.names - its) if seen.names & its else seen
            for other, seen in self.images.items()
        }
        images[image_id] = images.get(image_id, Seen(now, now)).named(its)
        return replace(self, images=images)

    def pulled(self, found: Mapping[str, str]) -> History:
        """Note the repositories that these images were pulled from or pushed to."""
        seen = {image_id: self.images[image_id] for image_id in found if image_id in self.images}
        told = {i: structs.replace(one, pulled=one.pulled | {found[i]}) for i, one in seen.items()}
        return replace(self, images={**self.images, **told}) if told else self

    def heard(self, engine_time: float) -> History:
        return replace(self, heard_until=max(self.heard_until, engine_time))

    def met(self, present: Mapping[str, Iterable[str]], now: float) -> History:
        """Note all images, by their names: new ones count as first seen now, and missing ones are forgotten.

        A use in the future is one of now: the clock has been set back since.
        """
        images = {}
        for image_id, image_names in present.items():
            seen = self.images.get(image_id, Seen(now, now))
            seen = structs.replace(seen, first_at=min(seen.first_at, now), used_at=min(seen.used_at, now))
            images[image_id] = seen.named(image_names)
        return replace(self, images=images)

    def missed_none(self, oldest: float | None, count: int, *, held: bool) -> bool:
        """Whether the engine's kept events have everything since: `count`, the oldest from `oldest`.

        It is if an event that was taken in before is still among them, or if the stream was `held` to the very end of
        the engine that it came from, and all since the start of the new one are kept.
        """
        return (oldest is not None and oldest <= self.heard_until) or (held and count < ENGINE_KEEPS - NOT_COUNTED)

    def resumed(self, oldest: float | None, now: float, skew: float, *, whole: bool) -> History:
        """Go on after a pause; `whole` as `missed_none` finds it. `skew` is the engine's clock minus AWS's."""
        if whole:
            return self
        blind_until = now if oldest is None else min(now, oldest - skew)
        return self.used(tuple(self.images), blind_until)


def merged(one: History, other: History) -> History:
    """Everything from both, with the names and containers of the second: two writers of one file lose nothing."""
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


class _File(Struct):
    engine: str
    heard_until: float
    images: dict[str, Seen]
    containers: dict[str, str]
    version: Literal[1] = 1


def dump(history: History) -> bytes:
    newest = sorted(history.images.items(), key=lambda item: -item[1].used_at)[:IMAGES_MAX]
    containers = dict(sorted(history.containers.items())[:CONTAINERS_MAX])
    return json.encode(_File(history.engine, history.heard_until, dict(newest), containers)) + b"\n"


def load(text: bytes | None) -> History | None:
    """Read a history; None if it is lost, malformed, or of another version."""
    try:
        read = json.decode(text or b"", type=_File)
    except (MsgspecError, RecursionError):
        return None
    return History(read.engine, read.heard_until, read.images, read.containers)
