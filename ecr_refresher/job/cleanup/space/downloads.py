"""Waits for running pulls to end before something is removed; sees them in the engine's own files."""

import contextlib
import glob
import os
import time
from collections.abc import Callable

from ..policy import may_wait
from .disk import Disk

EVERY_S = 0.05  # between two looks for downloads
STALLED_S = 10.0  # a download without new data for so long does not count
# In containerd's own root, if `data_root` names it; and in that of a containerd that the engine started.
INGESTS = tuple(f"{root}io.containerd.content.v1.content/ingest" for root in ("", "containerd/daemon/"))


class Patience:
    """How long one cleanup waits, over all removals; the engine does not say which repository a download belongs to."""

    def __init__(self, boot: Callable[[], float]) -> None:
        self._boot = boot
        self._waited_s, self._filled = 0.0, 0  # and how much of the disk was filled meanwhile

    def await_quiet(self, seen: Disk) -> None:
        """Return when nothing is being downloaded, when that can't be seen, or when the waiting time is used up."""
        if seen.data_root is None:
            return
        began, (before, _) = self._boot(), seen.measure()
        waited_s, filled = self._waited_s, self._filled
        while under_way(seen.data_root):
            used, whole = seen.measure()
            self._waited_s, self._filled = waited_s + self._boot() - began, filled + max(0, used - before)
            if not may_wait(self._waited_s, self._filled, whole - used):
                return
            time.sleep(EVERY_S)


def under_way(data_root: str) -> bool:
    """Whether layers are being downloaded now, by the files in which the engine or containerd collects them."""
    if glob.glob("tmp/GetImageBlob*", root_dir=data_root):
        return True
    for data in (data for store in INGESTS for data in glob.glob(f"{store}/*/data", root_dir=data_root)):
        with contextlib.suppress(OSError):  # leftovers of a broken download stay for a day
            if time.time() - os.stat(os.path.join(data_root, data)).st_mtime < STALLED_S:
                return True
    return False
