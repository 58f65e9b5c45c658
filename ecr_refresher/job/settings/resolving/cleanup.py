"""The rules of the cleanup: which marks, which engine, and where last uses are remembered."""

import os

from msgspec import convert

from ....core import plan
from ..problems import Spot
from ..schema.sections import CleanupEntry, CleanupImagesEntry
from ..surroundings import Surroundings
from .docker import engine

ABOVE = 0.8  # of the disk: the mark where none is given
APART = 0.1  # of the disk: how far below the mark a cleanup goes where nothing else is given


def resolve(entry: CleanupEntry, at: Spot, surroundings: Surroundings) -> plan.Cleanup:
    """Make the plan's cleanup. It also holds for a cleanup by hand where the daemon does none."""
    made = entry.model_dump(include={"enabled", "every", "dry_run", "data_root"})
    for key, rules in (("containers", entry.containers), ("images", entry.images)):
        made[key] = {**rules.model_dump(exclude={"of"}, exclude_none=True), "every": rules.of == "all"}
    made["images"] |= _marks(entry.images, at / "images")
    directory = surroundings.state_directory()
    if entry.enabled and entry.state_file is None and directory is None:
        (at / "state_file").error("is missing, and this user has no home directory", "Give the path")
    made["state_file"] = entry.state_file or os.path.join(directory or "/", "cleanup.json")
    made["build_cache_max"] = entry.build_cache.max_size
    made["engine"] = engine(entry, at, surroundings) or plan.Cleanup().engine
    return convert(made, plan.Cleanup)


def _marks(entry: CleanupImagesEntry, at: Spot) -> dict[str, float]:
    """The disk's marks: the default ones where none is given, and none where only `max_size` is."""
    above, below, until = entry.when_disk_above, entry.until_below, at / "until_below"
    if at.is_spoiled("when_disk_above", "until_below", "max_size"):
        return {}
    if above is None and entry.max_size is not None:
        if below is not None:
            until.error("needs when_disk_above", "Set when_disk_above, or remove until_below")
        return {}
    above = ABOVE if above is None else above
    if below is None:
        below = round(max(above - APART, above / 2), 6)
    elif below > above:
        until.error("is above when_disk_above", "Write a lower share, e.g. 70%")
    return {"when_disk_above": above, "until_below": below}
