"""The words for `/status`: 'in 3 h 12 min', 'renewal in 4 h'. Pure; the `status` command and the page share them.

A slot is one entry of the document's `slots`; `now` and times are seconds since the epoch, on AWS's clock.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

GOOD, SHAKY, OUT, WAITING = "good", "shaky", "out", "waiting"
SKEW_MIN_S = 2.0  # the error of the measurement: AWS's `Date` has whole seconds
_NEXT = {"retry": "retry", "renewal": "renewal", "look": "next look"}


def seconds(text: str | None) -> float | None:
    """Read a time of `/status` (RFC 3339)."""
    return None if text is None else datetime.fromisoformat(text).timestamp()


def span(duration_s: float) -> str:
    """A duration: '45 s', '12 min', '3 h 12 min', '2 d 4 h'; never rounded up."""
    whole = int(max(0.0, duration_s))
    if whole < 60:
        return f"{whole} s"
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min")]
    first = next(index for index, (amount, _) in enumerate(parts) if amount)
    return " ".join(f"{amount} {unit}" for amount, unit in parts[first : first + 2] if amount)


def when(at: float, now: float) -> str:
    """A time: 'in 3 h 12 min', '5 min ago', 'now'."""
    if abs(at - now) < 1:
        return "now"
    return f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"


def since(at: float, now: float) -> str:
    """A time in the past: '5 min ago', 'just now'."""
    return f"{span(now - at)} ago" if now - at >= 1 else "just now"


def health(slot: Mapping[str, Any], now: float) -> str:
    """GOOD; SHAKY: good, but the last try failed; OUT: no valid credential; WAITING: not looked at yet."""
    until = seconds(slot["held_until"])
    if until is not None and until > now:
        return GOOD if slot["last_error"] is None else SHAKY
    return WAITING if until is None and slot["outcome"] is None else OUT


def holds(slot: Mapping[str, Any], now: float) -> str:
    """What a slot holds: 'good for 3 h 12 min', 'expired 5 min ago', 'no usable credential'."""
    until = seconds(slot["held_until"])
    if until is None:
        return "not looked at yet" if slot["outcome"] is None else "no usable credential"
    return f"good for {span(until - now)}" if until > now else f"expired {since(until, now)}"


def last_delivery(slot: Mapping[str, Any], now: float) -> str:
    """When the daemon last wrote the slot: 'written 3 h ago'; 'found fresh' if somebody else wrote it."""
    at = seconds(slot["delivered_at"])
    if at is not None:
        return f"written {since(at, now)}"
    return "found fresh" if slot["held_until"] is not None else "never written"


def next_step(slot: Mapping[str, Any], now: float) -> str:
    """What comes next: 'retry in 45 s', 'renewal in 4 h 2 min', 'next look now'."""
    at = seconds(slot["next_at"])
    return "" if at is None else f"{_NEXT[slot['next']]} {when(at, now)}"


def cleanup(cleaned: Mapping[str, Any], now: float) -> list[str]:
    """The last cleanup, in a few phrases."""
    last = seconds(cleaned["last_run_at"])
    said = ["dry run: nothing is removed"] if cleaned["dry_run"] else []
    if not cleaned["listening"]:
        said.append("not receiving the engine's events")
    if last is None:
        return [*said, "not finished once yet"]
    containers, images = (count(cleaned["removed"][kind], kind) for kind in ("container", "image"))
    removed = "would have removed" if cleaned["dry_run"] else "removed"
    said.append(f"the last run, {since(last, now)}, {removed} {containers} and {images}")
    if cleaned["disk_used_ratio"] is not None:
        said.append(f"the disk is {100 * cleaned['disk_used_ratio']:.0f} % full")
    if cleaned["mark_exceeded"]:
        said.append("still above the limit, and nothing more may be removed")
    return said


def count(number: int, what: str) -> str:
    """A number of things: '1 image', '3 images'."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def skew(skew_s: float) -> str:
    """How far the local clock is off: '6 min ahead of AWS's'."""
    return f"{span(abs(skew_s))} {'ahead of' if skew_s > 0 else 'behind'} AWS's"


def registries(status: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], list[tuple[int, Mapping[str, Any]]]]]:
    """Each registry of a status document, with its slots and their numbers. Raises KeyError for a slot of another."""
    slots: dict[str, list[tuple[int, Mapping[str, Any]]]] = {registry["name"]: [] for registry in status["registries"]}
    for number, slot in enumerate(status["slots"]):
        slots[slot["registry"]].append((number, slot))
    return [(registry, slots[registry["name"]]) for registry in status["registries"]]


def trouble(slot: Mapping[str, Any], registry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A slot's error; None if its registry has the same one, which is shown once, there."""
    error: Mapping[str, Any] | None = slot["last_error"]
    known = registry["last_error"]
    return None if error and known and known["message"] == error["message"] else error


def error_words(error: Mapping[str, Any], now: float) -> str:
    """An error's reason and age: 'denied, 3 min ago'."""
    at = seconds(error["at"])
    return f"{error['reason']}{'' if at is None else ', ' + since(at, now)}"


def verdict(status: Mapping[str, Any], now: float) -> str:
    """The whole daemon: GOOD or SHAKY while it is ready, else OUT; WAITING before the first look."""
    found = {health(slot, now) for slot in status["slots"]}
    if status["ready"] and status["live"]:
        return GOOD if found <= {GOOD} else SHAKY
    return WAITING if status["live"] and WAITING in (found or {WAITING}) and OUT not in found else OUT


def summary(status: Mapping[str, Any], now: float) -> str:
    """The whole daemon in one sentence."""
    slots = status["slots"]
    if not status["live"]:
        return "The daemon hangs: its loop does not turn."
    if not slots:
        return "There is nothing to keep fresh." if status["ready"] else "The daemon is reading its settings."
    found = [health(slot, now) for slot in slots]
    lacking, shaky = found.count(OUT) + found.count(WAITING), found.count(SHAKY)
    required = [how for slot, how in zip(slots, found, strict=True) if slot["required"]]
    if not status["ready"] and not {OUT, WAITING} & set(required):
        return "The daemon is stopping."
    trouble = f"{shaky} could not be renewed or looked at"
    if not lacking:
        every = f"All {len(slots)} sinks hold" if len(slots) > 1 else "The only sink holds"
        return f"{every} a credential{f', but {trouble}' if shaky else ''}."
    yet = " yet" if OUT not in found else ""
    if lacking == len(slots):
        none = "The only sink has no" if lacking == 1 else f"None of the {lacking} sinks has a"
        return f"{none} credential{yet}."
    verb = "has" if lacking == 1 else "have"
    return f"{lacking} of {len(slots)} sinks {verb} no credential{yet}{f', and {trouble}' if shaky else ''}."
