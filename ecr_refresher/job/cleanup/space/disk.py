"""The disk that holds the engine's data: found where we see it, and measured as `df` does."""

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from ....core.model import Failed, Reason

# What every data root contains, with any storage driver.
_MARKS = {"image", "overlay2", "containers", "engine-id", "volumes", "io.containerd.content.v1.content", "storage.lock"}
# In a container docker mounts these from its data root, so they are on the file system to measure.
_OWN_MOUNT = re.compile(r"/containers/(?P<id>[0-9a-f]{64})/(?:hosts|hostname|resolv\.conf)$")


@dataclass(frozen=True, slots=True)
class Disk:
    """A place on that disk, and the data root itself if it can be seen from here."""

    place: str
    data_root: str | None = None

    def usage(self) -> dict[str, int]:
        """The same as the fields of a `policy.Usage`."""
        used, whole = self.measure()
        return {"disk_used": used, "disk_total": whole}

    def measure(self) -> tuple[int, int]:
        """Bytes in use, and bytes in all; without what is reserved for root, as in `df`."""
        seen = os.statvfs(self.place)
        used = (seen.f_blocks - seen.f_bfree) * seen.f_frsize
        return used, used + seen.f_bavail * seen.f_frsize


def find(told: str, override: str | None, knows: Callable[[str], bool], mounts: str = "/proc/self/mountinfo") -> Disk:
    """The disk of the engine's data root, which the engine reports at `told`; `override` is its path as seen from here.

    `knows` says whether the engine has a container of that id. Raises Failed where the disk can't be seen.
    """
    root = override or told
    if _looks_right(root):
        return Disk(root, root)
    for place, container in () if override else _own_mounts(mounts):
        if knows(container):
            return Disk(place)
    raise Failed(
        Reason.MISSING,
        f"the engine's data ({told}) can't be seen from here{f' at {override}' if override else ''}, so its disk can't "
        "be measured",
        "Mount it read-only and name it as cleanup.data_root, or use cleanup.images.max_size",
    )


def _looks_right(root: str) -> bool:
    """A container may have a directory of that name which is not the engine's."""
    try:
        return bool(_MARKS & set(os.listdir(root)))
    except PermissionError:
        return True  # unreadable, as the engine's is; its disk can still be measured
    except OSError:
        return False


def _own_mounts(mounts: str) -> list[tuple[str, str]]:
    rows: list[list[str]] = []
    with contextlib.suppress(OSError), open(mounts, encoding="utf-8", errors="replace") as file:
        rows = [line.split() for line in file]
    return [(row[4], found["id"]) for row in rows if len(row) > 4 and (found := _OWN_MOUNT.search(row[3]))]
