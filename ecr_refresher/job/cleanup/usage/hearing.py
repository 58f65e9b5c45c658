"""Keeps the history of uses up to date with one engine: catches up with what it has kept, then hears every event."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Iterable
from dataclasses import replace

from docker import APIClient
from docker.errors import APIError

from ...aws.clock import AwsClock
from .. import listing, names
from ..policy import Image
from . import events
from .events import Event, Gap, Index, Stream
from .last_use import History

CATCH_UP_S = 5.0
LAG_S = 0.5  # Podman's events may come so late; it can't be asked for its newest one
AHEAD_S = 10.0  # an engine's clock that was further ahead was wrong; newer engines share an answer, which may be late


def caught_up(history: History, index: Index, gap: Gap, event: Event, heard_until: float, at: float) -> History:
    """Take in an event that the engine has kept, if it was not heard before; `at` is when it was, on our clock."""
    if event.at > heard_until and event.is_use:
        history = history.used(gap.meant_by(event, index, history) & history.images.keys(), at)
    return history.heard(event.at)


def pulls_of(heard: Iterable[Event], index: Index) -> dict[str, str]:
    """Images that came from a registry, or went there, as far as their names still show: image -> repository."""
    found = {}
    for event in heard:
        if event.action in ("pull", "push") and len(index.exact(event.image)) == 1:
            (image,) = index.exact(event.image)
            found[image] = names.repository(event.image)
    return found


class Hearing(contextlib.AbstractContextManager["Hearing"]):
    """One connection's hearing; `history` is what is known at this moment.

    `held` tells that `history` is up to date, or was until the engine itself closed the stream. Errors of the engine
    are raised as its client's: use it within `engine.connected`.
    """

    def __init__(self, api: APIClient, clock: AwsClock, history: History | None, *, held: bool = False) -> None:
        self._api, self._clock = api, clock
        asked = clock.now()
        self.engine = listing.info(api)
        self.skew = self.engine.time - asked  # if at all too much, by what the answer took: so catch_up misses nothing
        now = clock.now()
        late, oldest, count = ([], None, 0) if self.engine.podman else events.kept(api, self.engine.time)
        # Podman would read its journal from the beginning for a time given.
        self._stream = Stream(api, None if self.engine.podman else self.engine.time)
        try:
            self.images = [listing.image(raw) for raw in api.images(all=True)]  # those in the middle of builds too
            self.containers = listing.containers(api)
        except BaseException:
            self._stream.close()
            raise
        self.index = Index.of(self.images, self.containers)
        known = history if history and history.engine == self.engine.id else History(self.engine.id)
        if known.heard_until > self.engine.time + AHEAD_S:  # the clock was wrong: what was kept since is unknown
            known = replace(known.used(known.images, now), heard_until=0.0)
        whole = known.missed_none(oldest, count, held=held)
        gap = Gap(known, late, whole=whole)
        self.history = known.resumed(oldest, now, self.skew, whole=whole).met(self.index.ids, now)
        for event in late:
            at = min(now, event.at - self.skew)
            self.history = caught_up(self.history, self.index, gap, event, known.heard_until, at)
        self.history = self.history.pulled(pulls_of(late, self.index))
        self.still_used()

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def remembered(self) -> History:
        """What outlives this connection."""
        return replace(self.history, containers=dict(self.index.containers))

    def known(self) -> list[Image]:
        """The images that existed at the beginning and still do, with the known uses of each."""
        uses = self.history.images
        return [
            replace(image, last_used_at=uses[image.id].used_at, heard=uses[image.id].pulled)
            for image in self.images
            if image.id in self.index.ids
        ]

    def still_used(self) -> None:
        """Count the images of running containers as used now; an engine that crashes sends no event of their end."""
        self.history = self.history.used(self.index.in_use() & self.index.ids.keys(), self._clock.now())

    def used(self, image_id: str, at: float) -> None:
        """Note that an image was used then, by an answer of the engine."""
        if image_id in self.index.ids:
            self.history = self.history.used((image_id,), min(at, self._clock.now()))

    def wait(self, timeout_s: float | None) -> bool:
        """Take in the next event. False at the end of the stream; raises queue.Empty if none comes in time."""
        event = self._stream.next(timeout_s)
        if event is None:
            return False
        self._take(event)
        return True

    def drain(self, lag_s: float = 0.0) -> None:
        """Take in all events so far, and what comes within `lag_s`. Raises ConnectionError if the stream has ended."""
        ends_at = time.monotonic() + lag_s
        with contextlib.suppress(queue.Empty):
            while self.wait(max(0.0, ends_at - time.monotonic())):
                pass
            raise ConnectionError("the engine's events have ended")

    def catch_up(self) -> None:
        """Take in all events until this very moment: the stream may be behind by some milliseconds.

        The engine is asked for the newest event that it has, and the stream is heard until that has come. Raises
        ConnectionError if it does not come.
        """
        if self.engine.podman:
            self.drain(LAG_S)
            return
        self.drain()
        since = self.history.heard_until
        found, _, _ = events.kept(self._api, max(since, self._clock.now() + self.skew), since)
        newest = max((event.at for event in found), default=since)
        while self.history.heard_until < newest:
            going_on = False
            with contextlib.suppress(queue.Empty):
                going_on = self.wait(CATCH_UP_S)
            if not going_on:
                raise ConnectionError("the engine's events have ended")

    def _take(self, event: Event) -> None:
        now = self._clock.now()
        if event.kind == "image":
            self._look_at(event)
        meant = self.index.meant_by(event, self.history)
        if event.action == "create":
            if len(meant) != 1:
                meant = listing.made_of(self._api, event.id) or meant
            if len(meant) == 1:
                (self.index.containers[event.id],) = meant
        self.index.heard(event)
        if event.is_use:
            self.history = self.history.used(meant & self.index.ids.keys(), now)
        self.history = self.history.pulled(pulls_of((event,), self.index)).heard(event.at)

    def _look_at(self, event: Event) -> None:
        """Ask which names the image has now. Podman also sends a `delete` event for a removal that it refuses."""
        try:
            image = listing.image(listing.inspect_image(self._api, event.id))
        except APIError:
            if event.action == "delete":
                self.index.drop(event.id)
            return  # else it is gone; its 'delete' is on the way
        self.index.put(image.id, image.names)
        self.history = self.history.named(image.id, self.index.ids[image.id], self._clock.now())
