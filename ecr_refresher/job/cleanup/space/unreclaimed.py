"""Where the space is that no rule of the cleanup covers: volumes, logs, containers' own layers, overlay leftovers."""

import contextlib
import glob
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from docker import APIClient

from ....core.plan import Cleanup
from .. import listing

LOGS = ("*-json.log*", "local-logs*")
WALK_S = 10.0  # for each kind that is summed up file by file
_LAYER = re.compile(r"[0-9a-f]{64}(-init)?")  # of images and containers; BuildKit names its own otherwise


def measured(api: APIClient, rules: Cleanup, data_root: str | None) -> dict[str, int]:
    """Bytes by kind, as far as they can be seen. Raises the engine's errors.

    The engine sums up its volumes for it, so this is for when somebody wants to know: a dry run, or a disk that stays
    too full. `data_root` is where the engine's data are seen from here; None leaves out what only files tell.
    """
    seen: Mapping[str, Any] = api.df()
    found = {
        "volumes": sum(max(0, (one.get("UsageData") or {}).get("Size", 0)) for one in seen.get("Volumes") or ()),
        "containers": sum(one.get("SizeRw") or 0 for one in seen.get("Containers") or ()),
    }
    if rules.build_cache_max is None:
        cached = (one for one in seen.get("BuildCache") or () if not one.get("Shared"))
        found["build_cache"] = sum(one.get("Size") or 0 for one in cached)
    if data_root is not None:
        logs = (glob.glob(os.path.join(glob.escape(data_root), f"containers/*/{name}")) for name in LOGS)
        found["logs"] = _bytes_of(path for paths in logs for path in paths)
        found["leftovers"] = _bytes_of(_leftovers(api, os.path.join(data_root, "overlay2"), seen))
    return {kind: count for kind, count in found.items() if count}


def _leftovers(api: APIClient, overlay: str, seen: Mapping[str, Any]) -> Iterator[str]:
    """Layers on the disk that no image and no container has: leftovers of a broken pull or a crash."""
    there = [path for path in _children(overlay) if _LAYER.fullmatch(os.path.basename(path))]
    if not there:
        return
    inspected = [listing.inspect_image(api, image["Id"]) for image in api.images(all=True)]
    inspected += [api.inspect_container(container["Id"]) for container in seen.get("Containers") or ()]
    places = [(one.get("GraphDriver") or {}).get("Data") or {} for one in inspected]
    paths = ":".join(str(place.get(key) or "") for place in places for key in ("UpperDir", "LowerDir")).split(":")
    used = {os.path.basename(os.path.dirname(path)).removesuffix("-init") for path in paths}
    yield from (path for path in there if os.path.basename(path).removesuffix("-init") not in used)


def _children(path: str) -> Sequence[str]:
    try:
        return [os.path.join(path, name) for name in os.listdir(path)]
    except OSError:
        return []


def _bytes_of(paths: Iterator[str]) -> int:
    """Bytes of these files and directories on the disk; stops counting when time is up."""
    ends_at, total, todo = time.monotonic() + WALK_S, 0, list(paths)
    while todo and time.monotonic() < ends_at:
        path = todo.pop()
        with contextlib.suppress(OSError):
            seen = os.lstat(path)
            total += seen.st_blocks * 512
            if stat.S_ISDIR(seen.st_mode):
                todo += _children(path)
    return total
