"""The rules of the cleanup: which marks, which engine, and where last uses are remembered."""

from __future__ import annotations

import os

from msgspec.structs import replace

from ....core import plan
from ....core.cleanup_rules import ContainerRules, ImageRules
from ..problems import Place, Problems
from ..schema.cleanup import CleanupEntry, CleanupImagesEntry
from ..surroundings import Surroundings
from . import engine

STATE_FILE = "cleanup.json"
ABOVE = 0.8  # of the disk: the mark where none is given
APART = 0.1  # of the disk: how far below the mark a cleanup goes where nothing else is given


def resolve(entry: CleanupEntry, surroundings: Surroundings, problems: Problems) -> plan.Cleanup:
    """Make the plan's cleanup. It also holds for a cleanup by hand where the daemon does none."""
    containers = entry.containers
    return plan.Cleanup(
        enabled=entry.enabled,
        engine=engine.resolve(entry, ("cleanup",), surroundings, problems) or plan.Cleanup().engine,
        every=entry.every,
        dry_run=entry.dry_run,
        state_file=_state_file(entry, surroundings, problems),
        data_root=entry.data_root,
        containers=ContainerRules(
            enabled=containers.enabled,
            exited_for=containers.exited_for,
            every=containers.of == "all",
            keep_labels=tuple(containers.keep_labels),
            only_labels=tuple(containers.only_labels),
            orchestrated=containers.orchestrated,
            anonymous_volumes=containers.anonymous_volumes,
        ),
        images=_images(entry.images, problems),
        build_cache_max=entry.build_cache.max_size,
    )


def _images(entry: CleanupImagesEntry, problems: Problems) -> ImageRules:
    """The marks: the disk's where none is given, and the only one where one is given alone."""
    place: Place = ("cleanup", "images")
    above, below = entry.when_disk_above, entry.until_below
    rules = ImageRules(
        enabled=entry.enabled,
        max_size=entry.max_size,
        unused_for=entry.unused_for,
        keep=tuple(entry.keep),
        every=entry.of == "all",
    )
    if problems.is_spoiled(*((*place, key) for key in ("when_disk_above", "until_below", "max_size"))):
        return rules
    if above is None and entry.max_size is not None:
        if below is not None:
            problems.error((*place, "until_below"), "goes with when_disk_above", "Give that too, or remove this")
        return rules
    above = ABOVE if above is None else above
    if below is None:
        below = round(max(above - APART, above / 2), 6)
    elif below > above:
        problems.error((*place, "until_below"), "is above when_disk_above", "Write a lower share, e.g. 70%")
    return replace(rules, when_disk_above=above, until_below=below)


def _state_file(entry: CleanupEntry, surroundings: Surroundings, problems: Problems) -> str:
    if entry.state_file is not None:
        return entry.state_file
    directory = surroundings.state_directory()
    if directory is None and entry.enabled:
        what = "is missing, and this user has no home directory"
        problems.error(("cleanup", "state_file"), what, "Give the path")
    return os.path.join(directory or "/", STATE_FILE)
