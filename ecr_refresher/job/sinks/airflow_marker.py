"""The marker in a connection's description: what the connection holds, behind the user's own text. Pure."""

from __future__ import annotations

import calendar
import re
import time

_MARKER = re.compile(r"\[ecr-refresher: (?P<host>[^\s\]]+) until (?P<until>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\]")
_ANY = re.compile(r"\s?\[ecr-refresher: [^\]]*\]")
_FORM = "%Y-%m-%dT%H:%M:%SZ"


def read(description: str | None, host: str) -> float | None:
    """Until when the connection holds a token for this registry; None where nothing is recorded for it."""
    for found in reversed(list(_MARKER.finditer(description or ""))):
        if found["host"] == host:
            try:
                return float(calendar.timegm(time.strptime(found["until"], _FORM)))
            except ValueError:
                return None
    return None


def write(description: str | None, host: str, until: float) -> str:
    """The user's own text, as it was, with the marker behind it."""
    own = strip(description)
    marker = f"[ecr-refresher: {host} until {time.strftime(_FORM, time.gmtime(until))}]"
    return f"{own} {marker}" if own else marker


def strip(description: str | None) -> str:
    """The user's own text: the description without any marker of ours, and without the space before it."""
    return _ANY.sub("", description or "")
