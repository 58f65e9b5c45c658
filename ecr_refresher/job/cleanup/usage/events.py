"""The engine's events: what each says of an image's use, and the stream of them, read by a thread."""

from __future__ import annotations

import contextlib
import queue
import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from docker import APIClient
from docker.types.daemon import CancellableStream

from .. import names
from ..policy import ENDED, Container, Image
from .last_use import History

USES = {
    "container": ("create", "start", "restart", "die", "exec_create", "exec_start", "commit"),
    "image": ("pull", "push", "tag", "import", "load", "build", "save"),
}
MOVES = ("pull", "tag", "import", "load")  # of a name to another image
REMOVALS = ("delete", "untag", "destroy")
PODMANS = {("container", "remove"): "destroy", ("container", "exec"): "exec_start"}  # its names for the same actions
STARTS, ENDS = ("start", "restart"), ("die", "destroy")
UNHEARD_MAX, UNHEARD_S = 10_000, 5.0  # events that wait to be taken in, and how long for more of them
_BARE_ID = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Event:
    """One event that matters: of a container, `id` is its own, and `image` is the name that it was made with."""

    at: float  # on the engine's clock
    kind: Literal["container", "image"]
    action: str
    id: str
    image: str
    name: str = ""  # of a 'tag': the name that was given

    @property
    def is_use(self) -> bool:
        return self.action in USES[self.kind]


def parse(raw: Any) -> Event | None:
    """Read one event of the engine; None if it is not about an image."""
    try:
        kind, actor = raw["Type"], raw["Actor"]
        action = str(raw["Action"]).partition(":")[0]  # 'exec_start: sh -c …'
        action = PODMANS.get((kind, action), action)
        if kind not in USES or action not in (*USES[kind], *REMOVALS):
            return None
        attributes = actor.get("Attributes") or {}
        ident = str(actor["ID"] or attributes["name"])  # Podman's pull events have no id
        if kind == "image" and _BARE_ID.fullmatch(ident):
            ident = f"sha256:{ident}"
        image = names.familiar(str(attributes.get("image", "")) if kind == "container" else ident)
        name = names.familiar(str(attributes.get("name", ""))) if action == "tag" else ""
        return Event(raw["timeNano"] / 1e9, kind, action, ident, image, name)
    except (KeyError, TypeError, AttributeError):
        return None


@dataclass(slots=True)
class Index:
    """Which image a name, or a container, means now."""

    names: dict[str, str] = field(default_factory=dict)
    ids: dict[str, frozenset[str]] = field(default_factory=dict)  # image -> its names
    containers: dict[str, str] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)  # or paused, restarting: containers that have not ended

    @classmethod
    def of(cls, images: Iterable[Image], containers: Iterable[Container]) -> Index:
        index = cls()
        for image in images:
            index.put(image.id, image.names)
        for container in containers:
            index.containers[container.id] = container.image_id
            if container.state not in ENDED:
                index.running.add(container.id)
        return index

    def heard(self, event: Event) -> None:
        """A container has started or ended."""
        if event.action in STARTS:
            self.running.add(event.id)
        elif event.action in ENDS:
            self.running.discard(event.id)
        if event.action == "destroy":
            self.containers.pop(event.id, None)

    def in_use(self) -> frozenset[str]:
        """The images of all containers that run now."""
        return frozenset(self.containers[one] for one in self.running if one in self.containers)

    def put(self, image_id: str, image_names: Iterable[str]) -> None:
        self.drop(image_id)
        self.ids[image_id] = frozenset(map(names.familiar, image_names))  # as events show them; Podman's lists don't
        self.names.update(dict.fromkeys(self.ids[image_id], image_id))

    def drop(self, image_id: str) -> None:
        for name in self.ids.pop(image_id, ()):
            if self.names.get(name) == image_id:
                del self.names[name]

    def meant_by(self, event: Event, history: History) -> frozenset[str]:
        """The images that this event is about; all images of its repository if the name itself is not known."""
        if event.kind == "container" and (known := self.containers.get(event.id)):
            return frozenset({known})
        exact = self.exact(event.image)
        repository = names.repository(event.image)
        return exact or frozenset(i for i, seen in history.images.items() if repository in seen.repositories)

    def exact(self, name: str) -> frozenset[str]:
        for spelled in (name, f"{name}:latest"):
            if spelled in self.names:
                return frozenset({self.names[spelled]})
        short = f"sha256:{name.removeprefix('sha256:')}"
        return frozenset(i for i in self.ids if i == name or (len(short) >= 19 and i.startswith(short)))


class Gap:
    """A time in which nobody listened; its events are read late, and their names may mean other images now.

    `whole` tells that the engine has kept all of them.
    """

    def __init__(self, before: History, late: Iterable[Event], *, whole: bool) -> None:
        self._whole = whole
        self._known, self._containers = before.images.keys(), before.containers
        self._before: dict[str, set[str]] = defaultdict(set)
        for image_id, seen in before.images.items():
            for name in seen.names:
                self._before[name].add(image_id)
        self._moves: dict[str, list[Event]] = defaultdict(list)
        self._created: dict[str, Event] = {}
        for event in late:
            if event.at > before.heard_until and event.action in MOVES:
                self._moves[event.name or event.image].append(event)
            if event.action == "create":
                self._created[event.id] = event

    def meant_by(self, event: Event, index: Index, history: History) -> frozenset[str]:
        """The images that may have been meant: the name was theirs before the gap, or in it, or is now."""
        if event.kind == "container":
            if known := index.containers.get(event.id) or self._containers.get(event.id):
                return frozenset({known})
            created = self._created.get(event.id)  # a container keeps the image that it was created with
            if created is None and not self._whole:
                return frozenset(history.images)
            event = created or event
        now, moves = index.exact(event.image), self._moves[_tagged(event.image)]
        if now & {event.image}:
            return now  # named by its id
        before, given = self._before[_tagged(event.image)], {move.id for move in moves if move.name}
        repository = names.repository(event.image)
        akin = {i for i, seen in history.images.items() if repository in seen.repositories}
        came_before = any(move.at <= event.at for move in moves)
        if not self._whole and not came_before and (moves or not now):
            return frozenset(history.images)  # the event that named it is lost: it may be any of them
        if len(moves) > 1 and before != now:
            return now | given | akin  # between two moves it may have been any of these
        return now | before | given | (akin - self._known)


def _tagged(name: str) -> str:
    return f"{name}:latest" if names.repository(name) == name else name


class Stream:
    """All events from `since` on (on the engine's clock), by default from now on; a thread takes them in."""

    def __init__(self, api: APIClient, since: float | None = None) -> None:
        self._stream = _events(api, **({} if since is None else {"since": f"{since:.9f}"}))
        self._queue: queue.Queue[Event | None] = queue.Queue(UNHEARD_MAX)
        threading.Thread(target=self._hear, name="events", daemon=True).start()

    def _hear(self) -> None:
        with contextlib.suppress(Exception):  # any error ends the stream
            for raw in self._stream:
                if (event := parse(raw)) is not None:
                    self._queue.put(event, timeout=UNHEARD_S)  # when full for so long, the stream ends
        self._queue.put(None)

    def next(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None at the end of the stream. Raises queue.Empty if none comes in time."""
        return self._queue.get(timeout=timeout_s) if timeout_s != 0 else self._queue.get_nowait()

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._stream.close()


def kept(api: APIClient, until: float, since: float = 0.0) -> tuple[list[Event], float | None, int]:
    """The events that the engine has kept since then: the relevant ones, the time of the oldest, and their number."""
    raw: list[Mapping[str, Any]] = list(_events(api, since=f"{since:.9f}", until=f"{until:.9f}"))
    times = [one["timeNano"] / 1e9 for one in raw if isinstance(one.get("timeNano"), int)]
    found = [event for event in map(parse, raw) if event is not None]
    return found, min(times, default=None), len(times)


def _events(api: APIClient, **between: str) -> CancellableStream[Any]:
    """The engine's stream; it takes seconds with nine decimals, docker-py's types know whole ones only."""
    return api.events(decode=True, **between)  # type: ignore[call-overload, no-any-return]
