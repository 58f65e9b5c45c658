"""The rules of the cleanup: which marks, which engine, and where last uses are remembered."""

from __future__ import annotations

import os

from msgspec.structs import replace

from ....core import plan
from ....core.cleanup_rules import ContainerRules, ImageRules
from ..problems import Problems
from ..schema import CleanupEntry, CleanupImagesEntry
from . import engine
from .paths import Paths

STATE_FILE = "cleanup.json"
ABOVE = 0.8  # of the disk: the mark where none is given
APART = 0.1  # of the disk: how far below the mark it goes where nothing else is said


def resolve(entry: CleanupEntry, paths: Paths, problems: Problems) -> plan.Cleanup:
    """Make the plan's cleanup; it holds for a cleanup by hand also where the daemon does none."""
    containers = entry.containers
    return plan.Cleanup(
        enabled=entry.enabled,
        engine=engine.resolve(entry, ("cleanup",), paths, problems) or plan.Cleanup().engine,
        every=entry.every,
        dry_run=entry.dry_run,
        state_file=_state_file(entry, paths, problems),
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
    """Without any mark it is the disk's; one given alone is the only one."""
    place = ("cleanup", "images")
    above, below = entry.when_disk_above, entry.until_below
    spoiled = any(problems.is_spoiled((*place, key)) for key in ("when_disk_above", "until_below", "max_size"))
    rules = ImageRules(
        enabled=entry.enabled,
        max_size=entry.max_size,
        unused_for=entry.unused_for,
        keep=tuple(entry.keep),
        every=entry.of == "all",
    )
    if spoiled:
        return rules
    if above is None and entry.max_size is not None:
        if below is not None:
            problems.error((*place, "until_below"), "goes with when_disk_above; give that too, or remove this")
        return rules
    above = ABOVE if above is None else above
    if below is None:
        below = round(max(above - APART, above / 2), 6)
    elif below > above:
        problems.error((*place, "until_below"), "is above when_disk_above; write a lower share, e.g. 70%")
    return replace(rules, when_disk_above=above, until_below=below)


def _state_file(entry: CleanupEntry, paths: Paths, problems: Problems) -> str:
    if entry.state_file is not None:
        return entry.state_file
    directory = paths.state_directory()
    if directory is None and entry.enabled:
        problems.error(("cleanup", "state_file"), "is missing, and this user has no home directory; give the path")
    return os.path.join(directory or "/", STATE_FILE)
