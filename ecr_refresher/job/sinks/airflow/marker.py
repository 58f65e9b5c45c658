"""The marker in a connection's description: what the connection holds, recorded behind the user's own text. Pure."""

import re

from ....core.times import moment, rfc3339

_PATTERN = r" ?\[ecr-refresher: (?P<host>[\w.:-]{1,255}) until (?P<until>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\]"
_MARKER = re.compile(_PATTERN, re.ASCII)
_MARKER_AT_END = re.compile(_PATTERN + r"\Z", re.ASCII)
_PIECES = re.compile(r"(?<=Z\])")  # a marker ends with one
MARKER_MAX = 320  # characters
SEARCHED_MAX = 65_535  # characters at the end of a description; what stands further in front is the user's own


def write(description: object, host: str, until: float) -> str:
    """Give the user's own text, byte for byte, and one marker behind it; older markers are gone.

    A description that is no text, as a backend may hold, is none. `until` is in seconds since the epoch, and recorded
    in whole ones.
    """
    own = strip(description)
    mark = f"[ecr-refresher: {host} until {rfc3339(until)}]"
    return f"{own} {mark}" if own else mark


def strip(description: object) -> str:
    """Give the user's own text: the description without markers, each with the one blank in front of it.

    What a marker had torn apart may be a marker itself: it goes, too. Takes linear time, whatever the text.
    """
    text = description if isinstance(description, str) else ""
    kept = ""
    for piece in _PIECES.split(text[-SEARCHED_MAX:]):
        kept += piece
        if found := _MARKER_AT_END.search(kept, max(0, len(kept) - MARKER_MAX)):
            kept = kept[: found.start()]
    return text[:-SEARCHED_MAX] + kept


def read(description: object, host: str) -> float | None:
    """Until when the connection holds a token for this registry; None where that is not recorded.

    Of several markers for it (somebody copied one) the earliest counts: that one errs on the safe side.
    """
    if not isinstance(description, str):
        return None
    markers = _MARKER.finditer(description[-SEARCHED_MAX:])
    found = [moment(marker["until"]) for marker in markers if marker["host"] == host]
    return min((until for until in found if until is not None), default=None)  # None: the 31st of February
