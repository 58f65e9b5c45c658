"""Moments and durations as texts: RFC 3339 for machines, `90s` or `5m` as the settings write them."""

import calendar
import time

_RFC3339 = "%Y-%m-%dT%H:%M:%SZ"
_IN_A_YEAR = _RFC3339.removeprefix("%Y")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}  # in seconds


def written(duration_s: float) -> str:
    """A duration as people write it, in the largest unit without a fraction: `90s`, `5m`, `1d`."""
    for unit in ("d", "h", "m", "s"):
        if duration_s >= UNITS[unit] and duration_s % UNITS[unit] == 0:
            return f"{duration_s / UNITS[unit]:.0f}{unit}"
    return f"{duration_s * 1000:.3f}".rstrip("0").rstrip(".") + "ms"


def rfc3339(moment: float) -> str:
    """A moment, in seconds since the epoch, as UTC in whole seconds: `2026-11-22T10:00:00Z`."""
    at = time.gmtime(moment)
    return f"{at.tm_year:04}{time.strftime(_IN_A_YEAR, at)}"  # strftime leaves out a year's leading zeros


def moment(text: str) -> float | None:
    """The moment that `rfc3339` wrote; None of any other text."""
    try:
        return float(calendar.timegm(time.strptime(text, _RFC3339)))
    except ValueError:
        return None
