"""The page for people at `/`: what `/status` says, with a bar for each credential's life. Pure.

It works without scripts; its script fetches the page again and replaces what has changed. It loads nothing else, and
the Content-Security-Policy allows only its own script and style.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

from ...core import phrases

EVERY_S = 5.0  # between two refreshes by the script
RELOAD_S = 15  # between two reloads without scripts
_STYLE, _SCRIPT = (Path(__file__).with_suffix(suffix).read_text("utf-8") for suffix in (".css", ".js"))


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


POLICY = "; ".join(
    [
        "default-src 'none'",
        f"script-src {_hash(_SCRIPT)}",
        f"style-src {_hash(_STYLE)}",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
_TITLES = {
    phrases.GOOD: "✓ Ready",
    phrases.SHAKY: "✓ Ready, with trouble",
    phrases.OUT: "✗ Not ready",
    phrases.WAITING: "… Starting",
}
_MARKS = {
    phrases.GOOD: "M14 24.5l7 7 13-15",
    phrases.SHAKY: "M24 13v14M24 34v.1",
    phrases.OUT: "M16 16l16 16M32 16L16 32",
    phrases.WAITING: "M24 13v11l7 5",
}
# The icon's colours have enough contrast on light and dark tabs.
_ICON = {phrases.GOOD: "1f9d61", phrases.SHAKY: "c47f00", phrases.OUT: "d93025", phrases.WAITING: "6b7a94"}
_LINKS = '<a href="/status">Status as JSON</a> <a href="/metrics">Metrics</a> <a href="/readyz?verbose">Readiness</a>'
_COLUMNS = "".join(
    f'<th role="columnheader" scope="col" class="{kind}">{name}</th>'
    for kind, name in {"sink": "Sink", "held": "Holds", "last": "Last delivery", "next": "Next"}.items()
)
_KEY = (
    '<p class="key" aria-hidden="true"><svg><line class="now" x1="8" x2="8" y1="1.5" y2="14.5"/></svg>now'
    '<svg><circle class="renewal" cx="8" cy="8" r="4"/></svg>planned renewal</p>'
)
_WORST_FIRST = (phrases.OUT, phrases.SHAKY, phrases.WAITING, phrases.GOOD)


def render(status: Mapping[str, Any]) -> bytes:
    """The whole page, from the document at `/status`."""
    now = phrases.seconds(status["now"]) or 0.0
    how = phrases.verdict(status, now)
    return f"""<!doctype html>
<html lang="en" data-version="{escape(status["version"])}" data-every-ms="{EVERY_S * 1000:.0f}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_TITLES[how]} · ecr-refresher</title>
<link rel="icon" href="{_icon(how)}">
<style>{_STYLE}</style>
<noscript><meta http-equiv="refresh" content="{RELOAD_S}"></noscript>
</head>
<body>
<div class="top"><span class="product">ecr-refresher</span>
<button id="pause" type="button" hidden aria-pressed="false">Pause</button></div>
{_head(status, now, how)}
<main>
{"".join(_registry(number, *found, now) for number, found in enumerate(phrases.registries(status)))}
{_cleanup(status, now)}</main>
<footer>{_LINKS}</footer>
<script>{_SCRIPT}</script>
</body>
</html>
""".encode()


def _icon(how: str) -> str:
    return (
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 48 48'%3E"
        f"%3Ccircle cx='24' cy='24' r='23' fill='%23{_ICON[how]}'/%3E"
        f"%3Cpath d='{_MARKS[how]}' fill='none' stroke='white' stroke-width='5' stroke-linecap='round'/%3E%3C/svg%3E"
    )


def _head(status: Mapping[str, Any], now: float, how: str) -> str:
    skew = status["clock_skew_seconds"]
    facts = {
        "Version": escape(status["version"]),
        "Started": _time(status["started_at"], now, phrases.since),
        "Updated": f'<time datetime="{status["now"]}">{status["now"][11:19]} UTC</time>',
    }
    if skew is not None and abs(skew) >= phrases.SKEW_MIN_S:
        facts["Local clock"] = escape(phrases.skew(skew))
    shown = "".join(f"<div><dt>{name}</dt><dd>{fact}</dd></div>" for name, fact in facts.items())
    return f"""<header>
<div class="verdict {how}" id="verdict">
<div data-part id="mark" class="mark {how}"><svg viewBox="0 0 48 48" aria-hidden="true">\
<circle cx="24" cy="24" r="22"/><path d="{_MARKS[how]}"/></svg></div>
<h1 data-part id="title" class="{how}">{_TITLES[how][2:]}</h1>
<p class="summary" id="summary" role="status">{escape(phrases.summary(status, now))}</p>
<dl class="facts" data-part id="facts">{shown}</dl>
</div>
<p class="lost" id="lost" role="alert" hidden>The daemon does not answer. This page shows its last answer.</p>
{_KEY}
</header>"""


def _registry(number: int, registry: Mapping[str, Any], slots: list[tuple[int, Mapping[str, Any]]], now: float) -> str:
    slots.sort(key=lambda entry: _WORST_FIRST.index(phrases.health(entry[1], now)))  # stable: in the settings' order
    about = " · ".join(_about(registry, now))
    table = f"""<table role="table" aria-labelledby="r{number}">
<thead role="rowgroup"><tr role="row">{_COLUMNS}</tr></thead>
{"".join(_slot(index, slot, phrases.trouble(slot, registry), now) for index, slot in slots)}</table>"""
    return f"""<section class="registry">
<div data-part id="registry-{number}"><h2 id="r{number}">{escape(registry["name"])}</h2>
<p class="about">{about}</p>{_trouble(registry["last_error"], now, phrases.OUT)}</div>
{table if slots else ""}</section>
"""


def _cleanup(status: Mapping[str, Any], now: float) -> str:
    cleaned = status.get("cleanup")
    if cleaned is None:
        return ""
    about = escape(" · ".join(phrases.cleanup(cleaned, now)))
    return f"""<section class="registry"><div data-part id="cleanup"><h2>Cleanup</h2>
<p class="about">{about}</p>{_trouble(cleaned["last_error"], now, phrases.SHAKY)}</div></section>
"""


def _about(registry: Mapping[str, Any], now: float) -> Iterator[str]:
    if registry["host"] != registry["name"]:
        yield escape(registry["host"] or "host not known yet")
    if registry["expires_at"] is None:
        yield "no token yet"
    else:
        yield f"newest token ends {_time(registry['expires_at'], now)}"
    if registry["last_success_at"] is not None:
        yield f"fetched {_time(registry['last_success_at'], now, phrases.since)}"


def _slot(index: int, slot: Mapping[str, Any], error: Mapping[str, Any] | None, now: float) -> str:
    how = phrases.health(slot, now)
    where = "Docker login" if slot["kind"] == "docker" else _breakable(slot["target"])
    optional = "" if slot["required"] else " · not required"
    trouble = _trouble(error, now, how)
    row = f'<tr role="row"><td role="cell" class="wide" colspan="4">{trouble}</td></tr>' if trouble else ""
    return f"""<tbody role="rowgroup" class="{how}" data-part id="slot-{index}"><tr role="row">
<th role="rowheader" scope="row" class="sink"><span class="name">{_breakable(slot["sink"])}</span>\
<span class="quiet">{where}{optional}</span></th>
<td role="cell" class="held"><span class="state">{escape(phrases.holds(slot, now))}</span>{_bar(slot, now)}</td>
<td role="cell" class="step" data-label="Last">{escape(phrases.last_delivery(slot, now))}</td>
<td role="cell" class="step" data-label="Next">{escape(phrases.next_step(slot, now))}</td></tr>{row}</tbody>
"""


def _trouble(error: Mapping[str, Any] | None, now: float, how: str) -> str:
    if error is None:
        return ""
    fix = f'<span class="fix"><b>Fix</b>: {_breakable(error["fix"])}</span>' if error["fix"] else ""
    what = escape(phrases.error_words(error, now))
    return f'<p class="trouble {how}"><b>{what}</b>: {_breakable(error["message"])}{fix}</p>'


def _bar(slot: Mapping[str, Any], now: float) -> str:
    """The credential's life from left to right: the time spent, the time left, now, and the planned renewal."""
    issued, until = phrases.seconds(slot["issued_at"]), phrases.seconds(slot["held_until"])
    if issued is None or until is None or until <= issued:
        empty = '<rect class="empty" x="1" y="4.5" height="7" rx="3.5"/>'
        return f'<svg class="bar" role="img" aria-label="no credential">{empty}</svg>'

    def percent(at: float) -> float:
        return round(100 * min(1.0, max(0.0, (at - issued) / (until - issued))), 2)

    here, renewal = percent(now), phrases.seconds(slot["renew_at"])
    words = [f"issued {phrases.since(issued, now)}"]
    planned = ""
    if renewal is not None and until > now:
        words.append(f"renewal planned {phrases.when(renewal, now)}")
        planned = f'<circle class="renewal" cx="{percent(renewal)}%" cy="8" r="4"/>'
    words.append(f"{'ends' if until > now else 'ended'} {phrases.when(until, now)}")
    label = ", ".join(words)
    return (
        f'<svg class="bar" role="img" aria-label="{label}"><title>{label}</title>'
        '<rect class="spent" x="0" y="4" width="100%" height="8" rx="4"/>'
        f'<rect class="left" x="{here}%" y="4" width="{round(100 - here, 2)}%" height="8" rx="4"/>{planned}'
        f'<line class="now" x1="{here}%" x2="{here}%" y1="1.5" y2="14.5"/></svg>'
        f'<span class="scale"><span>{_clock(slot["issued_at"], now)}</span>'
        f"<span>{_clock(slot['held_until'], now)}</span></span>"
    )


def _breakable(text: str) -> str:
    """Escaped text that may break behind `/` and `_`, so that a long name does not break in the middle of a word."""
    return escape(text).replace("/", "/<wbr>").replace(":/<wbr>/<wbr>", "://").replace("_", "_<wbr>")


def _time(at: str, now: float, words: Callable[[float, float], str] = phrases.when) -> str:
    return f'<time datetime="{at}" title="{at}">{words(phrases.seconds(at) or now, now)}</time>'


def _clock(at: str, now: float) -> str:
    """The time of day, with the date if it is far from now."""
    near = abs((phrases.seconds(at) or now) - now) < 20 * 3600
    return f"{at[11:16] if near else f'{at[:10]} {at[11:16]}'} UTC"
