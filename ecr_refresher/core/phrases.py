"""How people say what `/status` says: 'in 3 h 12 min', 'renewal in 4 h'. Pure; the command and the page share it.

A slot is one entry of the document's `slots`; `now` and moments are seconds since the epoch, on AWS's clock.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

GOOD, SHAKY, OUT, WAITING = "good", "shaky", "out", "waiting"
SKEW_MIN_S = 2.0  # less is how AWS's `Date` is measured, not how the clock is
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


def since(at: float, now: float) -> str:
    """A moment that has been: '5 min ago', 'just now'."""
    return f"{span(now - at)} ago" if now - at >= 1 else "just now"


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
    return f"good for {span(until - now)}" if until > now else f"expired {since(until, now)}"


def last_delivery(slot: Mapping[str, Any], now: float) -> str:
    """When we last wrote into a slot: 'written 3 h ago'; 'found fresh' where somebody else had."""
    at = moment(slot["delivered_at"])
    if at is not None:
        return f"written {since(at, now)}"
    return "found fresh" if slot["held_until"] is not None else "nothing written"


def next_step(slot: Mapping[str, Any], now: float) -> str:
    """What comes next: 'retry in 45 s', 'renewal in 4 h 2 min', 'next look now'."""
    at = moment(slot["next_at"])
    return "" if at is None else f"{_NEXT[slot['next']]} {when(at, now)}"


def cleanup(cleaned: Mapping[str, Any], now: float) -> list[str]:
    """The last cleanup, in a few phrases."""
    last = moment(cleaned["last_run_at"])
    said = ["a dry run: nothing is removed"] if cleaned["dry_run"] else []
    if not cleaned["listening"]:
        said.append("the engine's events are not heard")
    if last is None:
        return [*said, "none has ended yet"]
    removed = cleaned["removed"]
    did = "would have removed" if cleaned["dry_run"] else "removed"
    said.append(
        f"the last one, {since(last, now)}, {did} {removed['container']} containers and {removed['image']} images"
    )
    if cleaned["disk_used_ratio"] is not None:
        said.append(f"the disk is {100 * cleaned['disk_used_ratio']:.0f} % full")
    if cleaned["mark_exceeded"]:
        said.append("that is above the mark, and nothing more may go")
    return said


def skew(seconds: float) -> str:
    """How far the local clock is off AWS's: '6 min ahead of AWS's'."""
    return f"{span(abs(seconds))} {'ahead of' if seconds > 0 else 'behind'} AWS's"


def trouble(slot: Mapping[str, Any], registries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """What went wrong with a slot, unless it is what went wrong with its registry: that is said once, there."""
    error: Mapping[str, Any] | None = slot["last_error"]
    known = [registry["last_error"] for registry in registries if registry["name"] == slot["registry"]]
    return None if error and any(other and other["message"] == error["message"] for other in known) else error


def error_words(error: Mapping[str, Any], now: float) -> tuple[str, str]:
    """A failure: 'denied, 3 min ago' and 'the password is wrong; correct it'."""
    at = moment(error["at"])
    return f"{error['reason']}{'' if at is None else ', ' + since(at, now)}", error["message"]


def verdict(status: Mapping[str, Any], now: float) -> str:
    """How the whole is: good or shaky while ready, else out; waiting while nothing has been looked at yet."""
    found = {health(slot, now) for slot in status["slots"]}
    if status["ready"] and status["live"]:
        return GOOD if found <= {GOOD} else SHAKY
    return WAITING if status["live"] and WAITING in (found or {WAITING}) and OUT not in found else OUT


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
    shaky = found.count(SHAKY)
    trouble = f"{shaky} could not be renewed or looked at"
    if lacking:
        waiting = " yet" if OUT not in found else ""
        if lacking == len(slots):
            none = "The one sink has no" if lacking == 1 else f"None of the {lacking} sinks has a"
            return f"{none} credential{waiting}."
        verb = "has" if lacking == 1 else "have"
        more = f", and {trouble}" if shaky else ""
        return f"{lacking} of {len(slots)} sinks {verb} no credential{waiting}{more}."
    every = f"All {len(slots)} sinks hold" if len(slots) > 1 else "The one sink holds"
    return f"{every} a credential{f', but {trouble}' if shaky else ''}."
