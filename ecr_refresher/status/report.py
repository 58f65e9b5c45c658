"""The daemon's `/status` as people read it on a terminal: a verdict, then each registry with its slots. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import phrases
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
    now = phrases.moment(status["now"]) or 0.0
    return "\n".join([*_head(status, now, paint), *_registries(status, now, paint), *_cleanup(status, now, paint)])


def _head(status: Mapping[str, Any], now: float, paint: Paint) -> Iterator[str]:
    ready = status["ready"] and status["live"]
    verdict = paint("ready", "good", "bold") if ready else paint("NOT READY", "bad", "bold")
    yield f"{verdict}  {phrases.summary(status, now)}"
    skew = status["clock_skew_seconds"]
    clock = "" if skew is None or abs(skew) < phrases.SKEW_MIN_S else f", its clock {phrases.skew(skew)}"
    started = phrases.since(phrases.moment(status["started_at"]) or now, now)
    yield paint(f"ecr-refresher {status['version']}, started {started}{clock}", "dim")


def _registries(status: Mapping[str, Any], now: float, paint: Paint) -> Iterator[str]:
    rows = [_row(slot, now, paint) for slot in status["slots"]]
    lines = iter(columns(rows, "  "))
    by_slot = [(slot, next(lines)) for slot in status["slots"]]
    for registry in status["registries"]:
        yield ""
        yield _registry(registry, now, paint)
        if registry["last_error"] is not None:
            yield f"  {_error(registry['last_error'], now, paint)}"
        for slot, line in by_slot:
            if slot["registry"] == registry["name"]:
                yield line
                trouble = phrases.trouble(slot, status["registries"])
                if trouble is not None:
                    yield f"     {_error(trouble, now, paint)}"


def _cleanup(status: Mapping[str, Any], now: float, paint: Paint) -> Iterator[str]:
    """The last cleanup of the host, where the daemon does any."""
    cleaned = status.get("cleanup")
    if cleaned is not None:
        yield ""
        yield f"{paint('cleanup', 'bold')}: {', '.join(phrases.cleanup(cleaned, now))}"
        if cleaned["last_error"] is not None:
            yield f"  {_error(cleaned['last_error'], now, paint)}"


def _error(error: Mapping[str, Any], now: float, paint: Paint) -> str:
    what, message = phrases.error_words(error, now)
    return f"{paint(what, 'bad')}: {message}"


def _registry(registry: Mapping[str, Any], now: float, paint: Paint) -> str:
    until = phrases.moment(registry["expires_at"])
    name, host = registry["name"], registry["host"]
    called = paint(name, "bold") + (f" ({host or 'its host is not known yet'})" if host != name else "")
    return f"{called}: " + ("no token yet" if until is None else f"newest token ends {phrases.when(until, now)}")


def _row(slot: Mapping[str, Any], now: float, paint: Paint) -> tuple[str, ...]:
    mark, meaning = _MARKS[phrases.health(slot, now)]
    optional = "" if slot["required"] else " (not required)"
    held = paint(phrases.holds(slot, now), meaning)
    return paint(mark, meaning), slot["sink"] + optional, held, phrases.next_step(slot, now)
