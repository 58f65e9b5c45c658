"""A container's health check that is quick at the start and rare later.

Engines before Docker 25 know one interval only. One that is short enough for `service_healthy` within seconds starts a
Python 8,640 times a day. The next check begins an interval after this one ends, so a check that waits is a rare one.
"""

import os
import time


def after_start(seconds: float) -> None:
    """Wait, once the container is older than that. Does not return where the `sleep` command can do the waiting."""
    if _age_s() < seconds:
        return
    try:
        os.execvp("sleep", ["sleep", f"{seconds:g}"])  # noqa: S606,S607 - 10 MB less than this process, for all that time
    except OSError:
        time.sleep(seconds)


def _age_s() -> float:
    """Return the age of process 1, in seconds; 0 where it can't be read."""
    try:
        with open("/proc/1/stat", encoding="ascii", errors="replace") as stat, open("/proc/uptime") as uptime:
            ticks = int(stat.read().rpartition(")")[2].split()[19])
            return float(uptime.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0
