"""Removes unused images, least recently used first, until the marks are no longer exceeded.

An image goes by all its names or none, and only if its registry can give it back and nothing has begun to use it since
it was chosen.
"""

import contextlib
from collections.abc import Collection
from dataclasses import replace

from . import listing, policy, wording
from .names import repository
from .policy import Image, Judged, Kept, Layers, Usage
from .report import LATER, Gone, UsedAgain
from .returns import Returns
from .space.disk import Disk
from .space.downloads import Patience
from .work import Work


def clean(work: Work, returns: Returns, disk: Disk | None, gone: Collection[str], *, known: bool) -> None:
    """Remove images until the marks are met. Raises the engine's errors.

    `disk` is None where it can't be seen; `gone` are the containers that have been removed, or would be. `known` tells
    that last uses are remembered: without them nothing goes.
    """
    hearing, record, rules = work.hearing, work.record, work.rules.images
    hearing.drain()
    record.images = len(hearing.index.ids)
    images = hearing.known()
    used = {image for container, image in hearing.index.containers.items() if container not in gone}
    judged = policy.judge_images(images, used, rules, work.registries, work.clock.now())
    for image, why in judged.kept:
        record.stays(why, image)
    images, usage = _measured(work, images)
    record.before = record.after = usage
    if known and policy.goal(usage, rules).open(usage, rules):
        _remove(work, returns, disk, judged, images, used)
    else:
        record.stays(Kept.NOT_NEEDED, *judged.candidates)


def _measured(work: Work, images: list[Image]) -> tuple[list[Image], Usage]:
    """The images, with their layers where these matter, and the usage with the images' bytes."""
    rules, usage = work.rules.images, work.record.before
    at_most = sum(image.size for image in images)
    if policy.goal(replace(usage, image_bytes=at_most), rules) != policy.Goal():
        images = listing.with_layers(work.api, images)
        at_most = policy.total(images)
    return images, replace(usage, image_bytes=at_most)


def _remove(
    work: Work, returns: Returns, disk: Disk | None, judged: Judged, images: list[Image], used: Collection[str]
) -> None:
    record, rules = work.record, work.rules.images
    wanted, patience = policy.goal(record.before, rules), Patience(work.clock.boot)
    stuck: set[str] = set()
    by_id, layers = {image.id: image for image in images}, Layers(policy.own(images, used))
    seen = None if record.dry_run else disk
    for place, candidate in enumerate(judged.candidates):
        image = by_id[candidate.id]
        if not wanted.open(record.after, rules):
            record.stays(Kept.NOT_NEEDED, *judged.candidates[place:])
            break
        if seen is not None:
            patience.await_quiet(seen)
        if work.time_is_up():
            record.stays(LATER, *judged.candidates[place:])
            return
        if image.id in stuck:
            record.stays(Kept.PARENT, image)
        elif (word := returns.refusal(image)) is not None:
            record.stays(Kept.NOT_PULLABLE, image, word=word)
        elif _removed(work, image, layers.freed_by(image)):
            record.after = record.after.less(layers.remove(image))
            if seen is not None:
                record.after = replace(record.after, **seen.usage())
            continue
        stuck.add(image.parent)
    record.short = wanted.open(record.after, rules)


def _removed(work: Work, image: Image, freed: int) -> bool:
    usage = work.record.after
    pressure = f"images of {wording.size(usage.image_bytes or 0)}"
    if usage.disk_share is not None and policy.goal(work.record.before, work.rules.images).disk:
        pressure = f"disk {wording.share(usage.disk_share)} full"
    why = f"unused for {wording.duration(work.clock.now() - image.last_used_at)}, {pressure}"
    going = Gone("image", image.id, image.name, why, image.last_used_at, image.size, freed)
    return work.record.remove(going, lambda: _take_away(work, image))


def _take_away(work: Work, image: Image) -> None:
    """Remove an image by all its names, or by none. Raises UsedAgain if it has come into use; the engine's errors."""
    _look_once_more(work, image)
    tagged = {repository(tag) for tag in image.tags}
    refs = (*image.tags, *(digest for digest in image.digests if repository(digest) not in tagged))
    if len(refs) <= 1:  # the engine then looks for containers first, and takes all or nothing
        work.api.remove_image(image.id)
        return
    taken: list[str] = []
    try:
        for ref in refs:
            if listing.image_named(work.api, ref) == image.id:  # a name may have moved on
                _look_once_more(work, image)
                work.api.remove_image(ref)
                taken.append(ref)
    except Exception:
        for ref in taken:  # it came into use: give its names back, except those that another image has by now
            with contextlib.suppress(Exception):
                name, _, tag = ref.rpartition(":")
                if "@" not in ref and listing.image_named(work.api, ref) is None:
                    work.api.tag(image.id, name, tag)
        raise


def _look_once_more(work: Work, image: Image) -> None:
    """Raise UsedAgain if it has come into use since it was chosen."""
    work.hearing.catch_up()
    seen = work.hearing.history.images.get(image.id)
    if image.id in work.hearing.index.containers.values() or (seen and image.last_used_at < seen.used_at):
        raise UsedAgain
