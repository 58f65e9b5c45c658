"""The daemon's `/status` as text for a terminal: a verdict, then each registry with its slots. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import phrases
from ..core.printable import printable
from ..terminal import columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from ..terminal import Paint

_MARKS = {
    phrases.GOOD: ("+", "good"),
    phrases.SHAKY: ("!", "warning"),
    phrases.OUT: ("-", "bad"),
    phrases.WAITING: ("?", "dim"),
}


def report(status: Mapping[str, Any], paint: Paint) -> str:
    """Raises KeyError, TypeError or ValueError if `status` is not a status document."""
    status = _printable(status)
    now = phrases.seconds(status["now"]) or 0.0
    return "\n".join([*_head(status, now, paint), *_registries(status, now, paint), *_cleanup(status, now, paint)])


def _printable(value: Any) -> Any:
    """Escape control characters in every text of a document."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return {key: _printable(item) for key, item in value.items()} if isinstance(value, dict) else value


def _head(status: Mapping[str, Any], now: float, paint: Paint) -> Iterator[str]:
    ready = status["ready"] and status["live"]
    verdict = paint("ready", "good", "bold") if ready else paint("NOT READY", "bad", "bold")
    yield f"{verdict}  {phrases.summary(status, now)}"
    skew = status["clock_skew_seconds"]
    clock = "" if skew is None or abs(skew) < phrases.SKEW_MIN_S else f", its clock {phrases.skew(skew)}"
    started = phrases.since(phrases.seconds(status["started_at"]) or now, now)
    yield paint(f"ecr-refresher {status['version']}, started {started}{clock}", "dim")


def _registries(status: Mapping[str, Any], now: float, paint: Paint) -> Iterator[str]:
    lines = columns([_row(slot, now, paint) for slot in status["slots"]], "  ")
    for registry in status["registries"]:
        yield ""
        yield _registry(registry, now, paint)
        yield from _error(registry["last_error"], now, paint, "  ")
        for slot, line in zip(status["slots"], lines, strict=True):
            if slot["registry"] == registry["name"]:
                yield line
                yield from _error(phrases.trouble(slot, status["registries"]), now, paint, "     ")


def _cleanup(status: Mapping[str, Any], now: float, paint: Paint) -> Iterator[str]:
    cleaned = status.get("cleanup")
    if cleaned is not None:
        yield ""
        yield f"{paint('cleanup', 'bold')}: {', '.join(phrases.cleanup(cleaned, now))}"
        yield from _error(cleaned["last_error"], now, paint, "  ")


def _error(error: Mapping[str, Any] | None, now: float, paint: Paint, indent: str) -> Iterator[str]:
    if error is not None:
        yield f"{indent}{paint(phrases.error_words(error, now), 'bad')}: {error['message']}"
        if error["fix"]:
            yield f"{indent}{paint('fix', 'bold')}: {error['fix']}"


def _registry(registry: Mapping[str, Any], now: float, paint: Paint) -> str:
    until = phrases.seconds(registry["expires_at"])
    name, host = registry["name"], registry["host"]
    title = paint(name, "bold") + (f" ({host or 'host not known yet'})" if host != name else "")
    return f"{title}: " + ("no token yet" if until is None else f"newest token ends {phrases.when(until, now)}")


def _row(slot: Mapping[str, Any], now: float, paint: Paint) -> tuple[str, ...]:
    mark, meaning = _MARKS[phrases.health(slot, now)]
    optional = "" if slot["required"] else " (not required)"
    held = paint(phrases.holds(slot, now), meaning)
    return paint(mark, meaning), slot["sink"] + optional, held, phrases.next_step(slot, now)
