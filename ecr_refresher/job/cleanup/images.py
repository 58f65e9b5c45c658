"""Removes unused images, least recently used first, until the marks are no longer exceeded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...core.cleanup_rules import ImageRules
from . import listing, policy, removal, wording
from .policy import Image, Judged, Kept, Layers, Registries, Usage
from .report import LATER, CleanupReport, Gone
from .returns import Returns
from .space.disk import Disk
from .space.downloads import Patience
from .usage.hearing import Hearing

if TYPE_CHECKING:
    from docker import APIClient


@dataclass(frozen=True, slots=True)
class ImageCleaner:
    """One cleanup of images. Raises the engine's errors."""

    api: APIClient
    hearing: Hearing
    rules: ImageRules
    registries: Registries
    record: CleanupReport
    returns: Returns
    disk: Disk | None  # None where it can't be seen
    patience: Patience
    now: Callable[[], float]
    time_is_up: Callable[[], bool]

    def clean(self, in_use: Mapping[str, str], *, known: bool) -> None:
        """Remove what may go and has to. `known` tells that last uses are remembered: without them nothing goes."""
        self.hearing.drain()
        self.record.images = len(self.hearing.index.ids)
        images = self.hearing.known()
        used = set(in_use.values())
        judged = policy.judge_images(images, used, self.rules, self.registries, self.now())
        for image, why in judged.kept:
            self.record.images_stay([image], why)
        usage, images = self._measured(images)
        self.record.before = self.record.after = usage
        if not known or not policy.goal(usage, self.rules).open(usage, self.rules):
            self.record.images_stay(judged.candidates, Kept.NOT_NEEDED)
            return
        self._remove(judged, images, used)

    def _measured(self, images: list[Image]) -> tuple[Usage, list[Image]]:
        """The usage with the images' bytes, and the images with their layers where that matters."""
        usage = self.record.before
        at_most = sum(image.size for image in images)
        by_size = self.rules.max_size is not None and at_most > self.rules.max_size
        if by_size or policy.goal(usage, self.rules).disk:
            images = listing.with_layers(self.api, images)
            at_most = policy.total(images)
        return replace(usage, image_bytes=at_most), images

    def _remove(self, judged: Judged, images: list[Image], used: Collection[str]) -> None:
        usage = self.record.before
        wanted, stuck = policy.goal(usage, self.rules), set[str]()
        by_id = {image.id: image for image in images}
        layers = Layers(policy.own(images, used))
        measures = self.disk is not None and not self.record.dry_run
        for place, candidate in enumerate(judged.candidates):
            image = by_id[candidate.id]
            if not wanted.open(usage, self.rules):
                self.record.images_stay(judged.candidates[place:], Kept.NOT_NEEDED)
                break
            if self.disk is not None and measures:
                self.patience.await_quiet(self.disk)
            if self.time_is_up():
                self.record.images_stay(judged.candidates[place:], LATER)
                self.record.after = usage
                return
            if image.id in stuck:
                self.record.images_stay([image], Kept.PARENT)
            elif (word := self.returns.refusal(image)) is not None:
                self.record.stays(
                    "image", image.id, image.name, Kept.NOT_PULLABLE, image.last_used_at, image.size, word
                )
            elif self._removed(image, usage, layers.freed_by(image)):
                usage = usage.less(layers.remove(image))
                if self.disk is not None and measures:
                    usage = replace(usage, **self.disk.usage())
                continue
            stuck.add(image.parent)
        self.record.after = usage
        self.record.short = wanted.open(usage, self.rules)

    def _removed(self, image: Image, usage: Usage, freed: int) -> bool:
        unused = f"unused for {wording.duration(self.now() - image.last_used_at)}"
        why = f"{unused}, {self._pressure(usage)}"
        going = Gone("image", image.id, image.name, why, image.last_used_at, image.size, freed)
        return self.record.remove(going, lambda: removal.remove(self.api, self.hearing, image))

    def _pressure(self, usage: Usage) -> str:
        share = usage.disk_share
        if share is not None and policy.goal(self.record.before, self.rules).disk:
            return f"disk {wording.share(share)} full"
        return f"images of {wording.size(usage.image_bytes or 0)}"
