"""The memory limit of this process's control group, and how often the kernel has killed a process for it."""

import contextlib
import os
import resource
from collections.abc import Iterator
from typing import NamedTuple

from .core import budgets

MORE = "Raise the memory limit of the container or service"  # the fix
CGROUPS, OWN = "/sys/fs/cgroup", "/proc/self/cgroup"
_TEXT_MAX = 65536  # bytes that are read of any of these files


class Memory(NamedTuple):
    limit: int | None  # bytes
    kills: int | None  # None: this kernel does not say


def read(cgroups: str = CGROUPS, own: str = OWN) -> Memory:
    """Read what the kernel says of our control group, version 2 or 1. Never raises."""
    for folder, limit_file, events_file in _places(cgroups, own):
        words = _text(f"{folder}/{events_file}").split()
        if "oom_kill" in words[:-1]:
            kills, limit = words[words.index("oom_kill") + 1], _text(f"{folder}/{limit_file}").strip()
            # 'max' is no limit in version 2; version 1 writes a number near 2**63.
            bounded = limit.isdigit() and int(limit) < 1 << 62
            return Memory(int(limit) if bounded else None, int(kills) if kills.isdigit() else None)
    return Memory(None, None)


def data_max(cgroup: int | None) -> int:
    """The bytes of data that one process may have under a control group's limit, if there is one."""
    if cgroup is None:
        return budgets.DATA_MAX
    return min(budgets.DATA_MAX, max(budgets.DATA_MIN, cgroup - budgets.BESIDE))


def within(most: int) -> int:
    """So many bytes of data, or fewer where the hard limit is lower: without root nobody may raise that."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    return most if hard == resource.RLIM_INFINITY else min(hard, most)


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Let what takes too much end in a MemoryError, before the kernel ends this process or another one."""
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (within(data_max(read().limit)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


def be_first_to_go() -> None:
    """Have the kernel end this process before others where the memory of the host or container runs out."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
        score.write("1000")


def killed_since(kills: int | None) -> tuple[str, str] | None:
    """How the kernel killed a process of the group since it had killed so many, and the fix; None if it has not."""
    now = read()
    if now.kills is None or kills is None or now.kills <= kills:
        return None
    figure = "" if now.limit is None else f" of {now.limit >> 20} MiB"
    return f"killed by the kernel at the memory limit{figure}", MORE


def _places(cgroups: str, own: str) -> Iterator[tuple[str, str, str]]:
    """The folders to look in. In a container the own group may be mounted as the root of all."""
    for line in _text(own).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        for inside in (path, ""):
            if not controllers:
                yield os.path.normpath(f"{cgroups}/{inside}"), "memory.max", "memory.events"
            elif "memory" in controllers.split(","):
                yield os.path.normpath(f"{cgroups}/memory/{inside}"), "memory.limit_in_bytes", "memory.oom_control"


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_TEXT_MAX).decode(errors="replace")
    except OSError:
        return ""
