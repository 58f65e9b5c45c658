"""The boot clock: it counts suspends, nobody can step it, and all processes of a machine share it."""

import time


def boot_time() -> float:
    """Seconds since boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
