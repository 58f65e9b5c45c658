"""The disk that holds the engine's data: found where we see it, and measured as `df` does."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from ....core.model import Failed, Reason

# What a data root has in it, whichever storage driver.
_MARKS = {"image", "overlay2", "containers", "engine-id", "volumes", "io.containerd.content.v1.content", "storage.lock"}
# In a container docker mounts these from its data root, so their file system is the one that is wanted.
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
        """Bytes in use, and bytes in all; what is reserved for root is left out, as `df` does."""
        seen = os.statvfs(self.place)
        used = (seen.f_blocks - seen.f_bfree) * seen.f_frsize
        return used, used + seen.f_bavail * seen.f_frsize


def find(told: str, override: str | None, knows: Callable[[str], bool], mounts: str = "/proc/self/mountinfo") -> Disk:
    """The disk of the engine's data root, which it says is at `told`; `override` is where it is seen from here.

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
        return True  # closed to us, as the engine's is; its disk can be measured all the same
    except OSError:
        return False


def _own_mounts(mounts: str) -> list[tuple[str, str]]:
    rows: list[list[str]] = []
    with contextlib.suppress(OSError), open(mounts, encoding="utf-8", errors="replace") as file:
        rows = [line.split() for line in file]
    return [(row[4], found["id"]) for row in rows if len(row) > 4 and (found := _OWN_MOUNT.search(row[3]))]
