"""The marker in a connection's description: what the connection holds, recorded behind the user's own text. Pure."""

from __future__ import annotations

import calendar
import re
import time

_MARKER = re.compile(
    r" ?\[ecr-refresher: (?P<host>[\w.:-]+) until (?P<until>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\]", re.ASCII
)
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def write(description: str | None, host: str, until: float) -> str:
    """Give the user's own text, byte for byte, and one marker behind it; older markers are gone.

    `until` is in seconds since the epoch, and recorded in whole ones.
    """
    own = strip(description)
    marker = f"[ecr-refresher: {host} until {time.strftime(_TIME, time.gmtime(until))}]"
    return f"{own} {marker}" if own else marker


def strip(description: str | None) -> str:
    """Give the user's own text: the description without markers, each with the one blank that parts it off."""
    text = description or ""
    while (less := _MARKER.sub("", text)) != text:  # again: what a marker had torn apart may be one itself
        text = less
    return text


def read(description: str | None, host: str) -> float | None:
    """Until when the connection holds a token for this registry; None where that is not recorded.

    Of several markers for it (somebody copied one) the earliest counts: that one errs on the safe side.
    """
    found = [_seconds(marker["until"]) for marker in _MARKER.finditer(description or "") if marker["host"] == host]
    return min((until for until in found if until is not None), default=None)


def _seconds(text: str) -> float | None:
    try:
        return float(calendar.timegm(time.strptime(text, _TIME)))
    except ValueError:  # the 31st of February
        return None
