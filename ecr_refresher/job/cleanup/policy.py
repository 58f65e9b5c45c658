"""What to remove, what to keep, and why. Pure: the engine's lists, last uses, marks and the time are arguments.

The least recently used image goes first. An image's parents (it was built on them here) count as used whenever it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase

from ...core.plan import ContainerRules, ImageRules
from . import names

ENDED = ("exited", "dead", "created")  # 'created': never started
DOWNLOADS_S = 30.0  # the longest that one cleanup waits for downloads to end
FILLED_MAX = 10  # times the space that was filled while it waited must still be free
# Labels by which ECS's agent, a kubelet (cri-dockerd) and Swarm know their containers.
ORCHESTRATORS = ("com.amazonaws.ecs.", "io.kubernetes.", "com.docker.swarm.")
PARENTS_MAX = 127  # an image has no more layers (MaxLayerDepth in moby's layer/layer.go is 125)
NEVER_STARTED_S = 60.0  # the least age: a busy engine needs time between create and start


class Kept(StrEnum):
    RUNNING = "running"  # or paused, restarting, being removed
    IN_USE = "in_use"  # by a container, in whatever state
    FOREIGN = "foreign"  # not, or not only, of our registries
    KEPT = "kept"  # by a label or a pattern of the settings
    UNMARKED = "unmarked"  # lacks a label of `only_labels`
    NO_CREDENTIAL = "no_credential"  # could not be pulled again now
    NEVER_PUSHED = "never_pushed"  # was built here, and its registry does not have it
    PARENT = "parent"  # of an image that stays
    TOO_YOUNG = "too_young"  # ended, or used, not long enough ago
    NOT_NEEDED = "below_mark"  # may be removed, but there is room enough
    ORCHESTRATED = "orchestrated"  # ECS's agent, a kubelet or Swarm started it, and removes it
    NOT_PULLABLE = "not_pullable"  # its registry can't give it back now


@dataclass(frozen=True, slots=True)
class Image:
    """One image of the engine. `last_used_at` is when it was first seen, if it was never used."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    parent: str = ""
    size: int = 0
    last_used_at: float = 0.0
    layers: tuple[tuple[str, int], ...] = ()  # key and bytes of each, where they have been looked up
    heard: frozenset[str] = frozenset()  # repositories of its pull and push events

    @property
    def name(self) -> str:
        """Its name for people."""
        return (*self.names, self.id)[0]

    @property
    def names(self) -> tuple[str, ...]:
        return self.tags + self.digests

    @property
    def pulled(self) -> frozenset[str]:
        """The repositories that are known to have it.

        The engine notes a digest at each pull and push. Only containerd's store, Docker 29's default, gives one to
        whatever has a name: its own id. (Seen in moby's daemon/containerd/image_list.go.)
        """
        noted = (digest for digest in self.digests if not digest.endswith(f"@{self.id}"))
        return self.heard.union(map(names.repository, noted))


@dataclass(frozen=True, slots=True)
class Container:
    """One container of the engine. `ended_at` is when it was created, if it was never started."""

    id: str
    name: str
    image_id: str
    image_name: str
    state: str
    ended_at: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Registries:
    ours: frozenset[str]
    valid: frozenset[str]  # those of them whose credential is valid now


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes; None if not measured."""

    disk_used: int | None = None
    disk_total: int | None = None
    image_bytes: int | None = None  # layers that images share are counted once

    @property
    def disk_share(self) -> float | None:
        return None if self.disk_used is None or not self.disk_total else self.disk_used / self.disk_total

    def less(self, freed: int) -> Usage:
        def left(used: int | None) -> int | None:
            return None if used is None else max(0, used - freed)

        return replace(self, disk_used=left(self.disk_used), image_bytes=left(self.image_bytes))


@dataclass(frozen=True, slots=True)
class Judged:
    """Images that may go, in order, and why the others stay."""

    candidates: tuple[Image, ...]
    kept: tuple[tuple[Image, Kept], ...]


def judge_container(
    container: Container, image: Image | None, rules: ContainerRules, registries: Registries, now: float
) -> Kept | None:
    """Why a container stays; None if it is removed. `image` is its image, if that still exists."""
    if container.state not in ENDED:
        return Kept.RUNNING
    if not rules.every and not _is_ours(container, image, registries.ours):
        return Kept.FOREIGN
    if not rules.orchestrated and any(label.startswith(ORCHESTRATORS) for label in container.labels):
        return Kept.ORCHESTRATED
    if any(_has(container.labels, label) for label in rules.keep_labels):
        return Kept.KEPT
    if not all(_has(container.labels, label) for label in rules.only_labels):
        return Kept.UNMARKED
    least = max(rules.exited_for, NEVER_STARTED_S) if container.state == "created" else rules.exited_for
    if container.ended_at is None or now - container.ended_at < least:
        return Kept.TOO_YOUNG
    return None


def _is_ours(container: Container, image: Image | None, ours: Collection[str]) -> bool:
    """By the name it was created with; if the engine shows an id instead, by all names of its image."""
    if names.host(container.image_name) in ours:
        return True
    return image is not None and shows_id(container) and bool(_hosts(image)) and _hosts(image) <= set(ours)


def shows_id(container: Container) -> bool:
    """Whether an id stands in place of its image's name, which means another one by now, or none."""
    shown, whole = (name.removeprefix("sha256:") for name in (container.image_name, container.image_id))
    return shown == whole or (len(shown) >= 12 and whole.startswith(shown))


def _has(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def judge_images(
    images: Sequence[Image], used: Collection[str], rules: ImageRules, registries: Registries, now: float
) -> Judged:
    """Return which images may be removed, least recently used first, children before parents.

    `used` are the ids of images that containers use. Nameless images that others are built on are no one's own: the
    engine removes them with the last of those.
    """
    by_id, judged = {image.id: image for image in images}, own(images)
    whys = {image.id: _why_kept(image, image.id in used, rules, registries, now) for image in judged}
    kept = {image_id: why for image_id, why in whys.items() if why is not None}
    recency, depth, needed = {image.id: image.last_used_at for image in images}, dict.fromkeys(by_id, 0), set(kept)
    for image in images:
        for level, above in enumerate(_ancestors(image, by_id), 1):
            recency[above] = max(recency[above], image.last_used_at)
            depth[image.id] = level
            if image.id in needed:
                kept.setdefault(above, Kept.PARENT)
    order = sorted(
        (image for image in judged if image.id not in kept),
        key=lambda image: (recency[image.id], -depth[image.id], image.last_used_at, image.name, image.id),
    )
    return Judged(tuple(order), tuple((image, kept[image.id]) for image in judged if image.id in kept))


def _why_kept(image: Image, used: bool, rules: ImageRules, registries: Registries, now: float) -> Kept | None:
    hosts = _hosts(image)
    if used:
        return Kept.IN_USE
    if not rules.every and (not hosts or not hosts <= registries.ours):
        return Kept.FOREIGN
    if any(_matches(image, pattern) for pattern in rules.keep):
        return Kept.KEPT
    if not rules.every and any(names.repository(tag) not in image.pulled for tag in image.tags):
        return Kept.NEVER_PUSHED
    if not hosts & registries.ours <= registries.valid:
        return Kept.NO_CREDENTIAL
    if now - image.last_used_at < rules.unused_for:
        return Kept.TOO_YOUNG
    return None


def _hosts(image: Image) -> frozenset[str]:
    """By its names; without any, by the repositories it came from."""
    return frozenset(map(names.host, image.names or image.pulled))


def _matches(image: Image, pattern: str) -> bool:
    """A pattern may be of the whole name or leave out host, tag or digest; without a tag of its own it is `<none>`."""
    untagged = set(map(names.repository, image.names or image.pulled)) - set(map(names.repository, image.tags))
    whole = [*image.names, *(f"{repository}:<none>" for repository in untagged)]
    spelled = (each for name in (*whole, *map(names.repository, whole)) for each in names.spellings(name))
    return any(fnmatchcase(each, pattern) for each in spelled)


def _ancestors(image: Image, by_id: Mapping[str, Image]) -> Iterable[str]:
    above = image.parent
    for _ in range(PARENTS_MAX):  # a hostile engine could name them in a circle
        if above not in by_id:
            return
        yield above
        above = by_id[above].parent


@dataclass(frozen=True, slots=True)
class Goal:
    """The marks that were exceeded when the pass began; removal goes on until none is exceeded."""

    disk: bool = False
    size: bool = False

    def open(self, usage: Usage, rules: ImageRules) -> bool:
        """Whether more must be removed."""
        return (self.disk and (usage.disk_share or 0.0) >= rules.until_below) or (
            self.size and (usage.image_bytes or 0) > (rules.max_size or 0)
        )


def goal(usage: Usage, rules: ImageRules) -> Goal:
    """Which marks are exceeded."""
    share = usage.disk_share
    return Goal(
        disk=rules.when_disk_above is not None and share is not None and share > rules.when_disk_above,
        size=rules.max_size is not None and usage.image_bytes is not None and usage.image_bytes > rules.max_size,
    )


def may_wait(waited_s: float, filled: int, left: int) -> bool:
    """Whether a cleanup may go on waiting for downloads to end, before it removes something.

    Pulls should not be disturbed, but on a busy host some pull is always under way, and the disk must not fill
    meanwhile: in `waited_s`, `filled` bytes of it were used up, and `left` are left.
    """
    return waited_s < DOWNLOADS_S and left > FILLED_MAX * filled


class Layers:
    """Which layers the images share: an image frees only those that no other one has."""

    def __init__(self, images: Iterable[Image]) -> None:
        self._users = Counter(key for image in images for key in _layers(image))

    def freed_by(self, image: Image) -> int:
        """How many bytes its removal would free now."""
        return sum(size for key, size in _layers(image).items() if self._users[key] == 1)

    def remove(self, image: Image) -> int:
        """Take it out; returns the bytes that this frees."""
        freed = self.freed_by(image)
        self._users.subtract(_layers(image).keys())
        return freed


def _layers(image: Image) -> dict[str, int]:
    return dict(image.layers) or {image.id: image.size}


def own(images: Sequence[Image], used: Collection[str] = ()) -> list[Image]:
    """The images, except nameless ones that others are built on.

    The engine removes those with their last child, so they keep no layer; only those that containers use do.
    """
    parents = {image.parent for image in images}
    return [image for image in images if image.names or image.id not in parents or image.id in used]


def total(images: Iterable[Image]) -> int:
    """Bytes of all images; layers that they share are counted once."""
    return sum({key: size for image in images for key, size in _layers(image).items()}.values())
