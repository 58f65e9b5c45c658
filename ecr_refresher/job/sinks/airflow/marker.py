"""The marker in a connection's description: what the connection holds, recorded behind the user's own text. Pure."""

from __future__ import annotations

import calendar
import re
import time

_PATTERN = r" ?\[ecr-refresher: (?P<host>[\w.:-]{1,255}) until (?P<until>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\]"
_MARKER = re.compile(_PATTERN, re.ASCII)
_MARKER_AT_END = re.compile(_PATTERN + r"\Z", re.ASCII)
_PIECES = re.compile(r"(?<=Z\])")  # a marker ends with one
MARKER_MAX = 320  # characters
SEARCHED_MAX = 65_535  # characters at the end of a description; what stands further in front is the user's own
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def write(description: str | None, host: str, until: float) -> str:
    """Give the user's own text, byte for byte, and one marker behind it; older markers are gone.

    `until` is in seconds since the epoch, and recorded in whole ones.
    """
    own = strip(description)
    marker = f"[ecr-refresher: {host} until {time.strftime(_TIME, time.gmtime(until))}]"
    return f"{own} {marker}" if own else marker


def strip(description: str | None) -> str:
    """Give the user's own text: the description without markers, each with the one blank in front of it.

    What a marker had torn apart may be a marker itself: it goes, too. Takes linear time, whatever the text.
    """
    text = description or ""
    kept = ""
    for piece in _PIECES.split(text[-SEARCHED_MAX:]):
        kept += piece
        if found := _MARKER_AT_END.search(kept, max(0, len(kept) - MARKER_MAX)):
            kept = kept[: found.start()]
    return text[:-SEARCHED_MAX] + kept


def read(description: str | None, host: str) -> float | None:
    """Until when the connection holds a token for this registry; None where that is not recorded.

    Of several markers for it (somebody copied one) the earliest counts: that one errs on the safe side.
    """
    tail = (description or "")[-SEARCHED_MAX:]
    found = [_seconds(marker["until"]) for marker in _MARKER.finditer(tail) if marker["host"] == host]
    return min((until for until in found if until is not None), default=None)


def _seconds(text: str) -> float | None:
    try:
        return float(calendar.timegm(time.strptime(text, _TIME)))
    except ValueError:  # the 31st of February
        return None
