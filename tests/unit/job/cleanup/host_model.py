"""A host as a model: images, containers, their true last uses, and the engine's last events. No engine, no I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from ecr_refresher.job.cleanup import names
from ecr_refresher.job.cleanup.policy import Container, Image
from ecr_refresher.job.cleanup.usage.events import Event, Gap, Index
from ecr_refresher.job.cleanup.usage.hearing import caught_up
from ecr_refresher.job.cleanup.usage.last_use import ENGINE_KEEPS, History

OURS = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
PARTNER = "210987654321.dkr.ecr.eu-west-1.amazonaws.com"
OTHER = "quay.io"
NEVER_OURS = "registry.example.com:5000"
BUFFER = 6  # the model's engine keeps so few events, so that gaps come often


@dataclass
class Host:
    """What is true, whoever listens; `history` is what a listener knows of it, while there is one."""

    now: float = 1_000_000.0
    images: dict[str, Image] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    used_at: dict[str, float] = field(default_factory=dict)  # the truth: last use, or when it came
    buffer: deque[Event] = field(default_factory=lambda: deque(maxlen=BUFFER))
    happened: int = 0
    count: int = 0
    history: History = field(default_factory=lambda: History("engine"))
    listening: bool = True

    # --- what happens ------------------------------------------------------------------------------------------------
    def pull(self, name: str, size: int, base: int) -> str:
        """A new image under that name; what had it before keeps its digest only. Images share their base layers."""
        self.count += 1
        image_id, repository = f"sha256:{self.count:064d}", names.repository(name)
        self._untag(name)
        layers = ((f"base {base}", 50 + base), (f"own {self.count}", size))
        self.images[image_id] = Image(
            image_id, (name,), (f"{repository}@sha256:{self.count}",), "", sum(n for _, n in layers), 0.0, layers
        )
        self._event("image", "pull", name, name, {image_id})
        return image_id

    def build(self, parent: str, tag: str | None, size: int) -> str:
        """An image built here on another one; with a tag only if it gets one."""
        self.count += 1
        image_id, above = f"sha256:{self.count:064d}", self.images[parent]
        layers = (*above.layers, (f"own {self.count}", size))
        if tag is not None:
            self._untag(tag)
        self.images[image_id] = Image(
            image_id, (tag,) if tag else (), (), parent, sum(n for _, n in layers), 0.0, layers
        )
        self.used_at[image_id] = self.now
        if tag is not None:
            self._event("image", "tag", image_id, image_id, {image_id}, tag)
        return image_id

    def tag(self, image_id: str, tag: str) -> None:
        self._untag(tag)
        image = self.images[image_id]
        self.images[image_id] = replace(image, tags=(*image.tags, tag))
        self._event("image", "tag", image_id, image_id, {image_id}, tag)

    def run(self, image_id: str, *, state: str = "running") -> str:
        self.count += 1
        image = self.images[image_id]
        container_id = f"c{self.count}"
        self.containers[container_id] = Container(container_id, container_id, image_id, image.name, state, self.now, {})
        self._event("container", "create", container_id, image.name, {image_id})
        return container_id

    def end(self, container_id: str) -> None:
        container = self.containers[container_id]
        self.containers[container_id] = replace(container, state="exited", ended_at=self.now)
        self._event("container", "die", container_id, container.image_name, {container.image_id})

    def remove_container(self, container_id: str) -> None:
        container = self.containers.pop(container_id)
        self._event("container", "destroy", container_id, container.image_name, set())

    def remove_image(self, image_id: str) -> None:
        """As the engine does: nameless parents go with their last child, unless a container uses them."""
        parent = self.images.pop(image_id).parent
        del self.used_at[image_id]
        self._event("image", "delete", image_id, image_id, set())
        above = self.images.get(parent)
        needed = any(image.parent == parent for image in self.images.values())
        needed = needed or any(container.image_id == parent for container in self.containers.values())
        if above is not None and not above.names and not needed:
            self.remove_image(parent)

    # --- who listens -------------------------------------------------------------------------------------------------
    def stop_listening(self) -> None:
        if not self.listening:
            return  # who does not listen learns nothing more of what there is
        self.listening = False
        its = {container.id: container.image_id for container in self.containers.values()}
        self.history = replace(self.history, containers=its)

    def listen_again(self) -> None:
        """What `Hearing` does when it connects, with the model's shorter memory of events."""
        count = ENGINE_KEEPS if self.happened > BUFFER else self.happened
        oldest = self.buffer[0].at if self.buffer else None
        heard_until, index = self.history.heard_until, self.index()
        whole = self.history.missed_none(oldest, count, held=False)
        gap = Gap(self.history, self.buffer, whole=whole)
        self.history = self.history.resumed(oldest, self.now, 0.0, whole=whole)
        self.history = self.history.met(self.index().ids, self.now)
        for event in self.buffer:
            self.history = caught_up(self.history, index, gap, event, heard_until, event.at)
        self.listening = True

    def index(self) -> Index:
        return Index.of(self.images.values(), self.containers.values())

    def as_listed(self) -> list[Image]:
        """The images with their last uses as the listener knows them."""
        self.history = self.history.met(self.index().ids, self.now)
        return [replace(one, last_used_at=self.history.images[one.id].used_at) for one in self.images.values()]

    def _event(self, kind: str, action: str, ident: str, image: str, truth: set[str], name: str = "") -> None:
        self.now += 0.001  # no two events at one moment
        self.happened += 1
        event = Event(self.now, kind, action, ident, image, name)  # type: ignore[arg-type]
        self.buffer.append(event)
        for image_id in truth:
            self.used_at[image_id] = self.now
        if self.listening:
            index = self.index()
            if kind == "image" and action != "delete":
                (image_id,) = truth
                self.history = self.history.named(image_id, index.ids[image_id], self.now)
            if event.is_use:
                self.history = self.history.used(index.meant_by(event, self.history), self.now)
            self.history = self.history.heard(self.now)

    def _untag(self, tag: str) -> None:
        for image in list(self.images.values()):
            if tag in image.tags:
                self.images[image.id] = replace(image, tags=tuple(t for t in image.tags if t != tag))
