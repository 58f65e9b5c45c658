"""How people say what `/status` says: 'in 3 h 12 min', 'renewal in 4 h'. Pure; the command and the page share it.

A slot is one entry of the document's `slots`; `now` and moments are seconds since the epoch, on AWS's clock.
"""

from __future__ import annotations

from datetime import datetime

TYPE_CHECKING = False  # as typing's own, without its import: a container's health check comes by here
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

GOOD, SHAKY, OUT, WAITING = "good", "shaky", "out", "waiting"
_NEXT = {"retry": "retry", "renewal": "renewal", "look": "next look"}


def moment(text: str | None) -> float | None:
    """Read a time of `/status` (RFC 3339)."""
    return None if text is None else datetime.fromisoformat(text).timestamp()


def span(seconds: float) -> str:
    """A duration: '45 s', '12 min', '3 h 12 min', '2 d 4 h'; cut off, never rounded up."""
    whole = int(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s"
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    first = next(place for place, (amount, _) in enumerate(parts) if amount)
    return " ".join(f"{amount} {unit}" for amount, unit in parts[first : first + 2] if amount)


def when(at: float, now: float) -> str:
    """A moment: 'in 3 h 12 min', '5 min ago', 'now'."""
    if abs(at - now) < 1:
        return "now"
    return f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"


def health(slot: Mapping[str, Any], now: float) -> str:
    """How a slot is: good; shaky (it holds, but the last try failed); out of a credential; waiting for a first look."""
    until = moment(slot["held_until"])
    if until is not None and until > now:
        return GOOD if slot["last_error"] is None else SHAKY
    return WAITING if until is None and slot["outcome"] is None else OUT


def holds(slot: Mapping[str, Any], now: float) -> str:
    """What a slot holds: 'good for 3 h 12 min', 'expired 5 min ago', 'nothing usable'."""
    until = moment(slot["held_until"])
    if until is None:
        return "not looked at yet" if slot["outcome"] is None else "nothing usable"
    return f"good for {span(until - now)}" if until > now else f"expired {when(until, now)}"


def next_step(slot: Mapping[str, Any], now: float) -> str:
    """What comes next: 'retry in 45 s', 'renewal in 4 h 2 min', 'next look now'."""
    at = moment(slot["next_at"])
    return "" if at is None else f"{_NEXT[slot['next']]} {when(at, now)}"


def error(error: Mapping[str, Any], now: float) -> str:
    """A failure: 'denied 3 min ago: the password is wrong; correct it'."""
    at = moment(error["at"])
    return f"{error['reason']}{'' if at is None else ' ' + when(at, now)}: {error['message']}"


def summary(status: Mapping[str, Any], now: float) -> str:
    """The whole in one sentence."""
    slots = status["slots"]
    if not status["live"]:
        return "The daemon hangs: its loop does not turn."
    if not slots:
        return "Nothing to keep fresh." if status["ready"] else "The settings are being read."
    found = [health(slot, now) for slot in slots]
    lacking = found.count(OUT) + found.count(WAITING)
    if not status["ready"] and not any(
        slot["required"] and how in (OUT, WAITING) for slot, how in zip(slots, found, strict=True)
    ):
        return "The daemon is stopping."
    if lacking:
        waiting = " yet" if OUT not in found else ""
        verb = "has" if lacking == 1 else "have"
        return f"{lacking} of {_sinks(len(slots))} {verb} no credential{waiting}."
    every = f"All {len(slots)} sinks hold" if len(slots) > 1 else "The one sink holds"
    shaky = found.count(SHAKY)
    return f"{every} a credential{f', but {shaky} could not be renewed or looked at' if shaky else ''}."


def _sinks(count: int) -> str:
    return f"{count} sink{'' if count == 1 else 's'}"
