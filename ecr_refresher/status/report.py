"""The daemon's `/status` for people: a verdict, then each registry with its slots. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..core import phrases
from ..terminal import BAD, BOLD, DIM, GOOD, WARNING, Block, Table, Words

_MARKS = {
    phrases.GOOD: ("+", GOOD),
    phrases.SHAKY: ("!", WARNING),
    phrases.OUT: ("-", BAD),
    phrases.WAITING: ("?", DIM),
}


def page(status: Mapping[str, Any]) -> list[Block]:
    """Raises KeyError, TypeError or ValueError if `status` is not a status document."""
    now = phrases.seconds(status["now"]) or 0.0
    # One table, so that the columns of all registries are even.
    return [*_head(status, now), Table([*_registries(status, now), *_cleanup(status, now)])]


def _head(status: Mapping[str, Any], now: float) -> Iterator[Words]:
    verdict = ("ready", f"{BOLD} {GOOD}") if status["ready"] and status["live"] else ("NOT READY", f"{BOLD} {BAD}")
    yield [verdict, f"  {phrases.summary(status, now)}"]
    skew = status["clock_skew_seconds"]
    clock = "" if skew is None or abs(skew) < phrases.SKEW_MIN_S else f", its clock {phrases.skew(skew)}"
    started = phrases.since(phrases.seconds(status["started_at"]) or now, now)
    yield (f"ecr-refresher {status['version']}, started {started}{clock}", DIM)


def _registries(status: Mapping[str, Any], now: float) -> Iterator[tuple[Words, ...]]:
    for registry, slots in phrases.registries(status):
        yield ("",)
        yield (_registry(registry, now),)
        yield from _error(registry["last_error"], now, "  ")
        for _, slot in slots:
            yield _row(slot, now)
            yield from _error(phrases.trouble(slot, registry), now, "     ")


def _cleanup(status: Mapping[str, Any], now: float) -> Iterator[tuple[Words, ...]]:
    cleaned = status.get("cleanup")
    if cleaned is not None:
        yield ("",)
        yield ([("cleanup", BOLD), f": {', '.join(phrases.cleanup(cleaned, now))}"],)
        yield from _error(cleaned["last_error"], now, "  ")


def _error(error: Mapping[str, Any] | None, now: float, indent: str) -> Iterator[tuple[Words, ...]]:
    if error is not None:
        yield ([indent, (phrases.error_words(error, now), BAD), f": {error['message']}"],)
        if error["fix"]:
            yield ([indent, ("fix", BOLD), f": {error['fix']}"],)


def _registry(registry: Mapping[str, Any], now: float) -> Words:
    until = phrases.seconds(registry["expires_at"])
    name, host = registry["name"], registry["host"]
    more = f" ({host or 'host not known yet'})" if host != name else ""
    token = "no token yet" if until is None else f"newest token ends {phrases.when(until, now)}"
    return [(name, BOLD), f"{more}: {token}"]


def _row(slot: Mapping[str, Any], now: float) -> tuple[Words, ...]:
    mark, style = _MARKS[phrases.health(slot, now)]
    optional = "" if slot["required"] else " (not required)"
    holds = (phrases.holds(slot, now), style)
    return (f"  {mark}", style), slot["sink"] + optional, holds, phrases.next_step(slot, now)
