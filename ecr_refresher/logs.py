"""Log lines: one JSON object each on stderr, or a line for people, and nothing secret in any of them.

structlog makes those for people. The JSON lines are the same that it would make, but made here: it and the asyncio that
it loads would be 8 of the 16 MB of the resident daemon, and a line would cost a pass three times as much.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .core.model import MASK, Secret

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}  # as those of the standard library's logging
_SHAPES = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"  # a JWT
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{12,}"  # an AWS access key id
    r"|(?<=Basic )\S+|(?<=Bearer )\S+"
    r"|(?<=://)[^/@\s]+(?=@)"  # user:password in a URL
    r"|(?P<run>[A-Za-z0-9+/_=-]{80,})"  # a token, in whichever base64; or a long path
)
_MARKS = ("eyJ", "AKIA", "ASIA", "Basic ", "Bearer ", "://")  # of the shapes above: without one of them, or a run …
_RUN = 80  # … of so many characters there is none of them, which is quicker to tell
_PART_MAX = 20  # longer ones that mix cases and digits are no name between two slashes, but random
_HEAD = 4  # characters; shorter secrets would tear holes into ordinary words
_LONG = 400  # characters; most lines are shorter, and then hold no token as a whole
# By their first characters, so that a line costs the same however many tokens, keys and passwords there are.
_hidden: dict[str, dict[str, None]] = {}
_hidden_long: dict[str, dict[str, None]] = {}
_hiding = threading.Lock()


def hide(secret: Secret) -> Secret:
    """Have this text masked wherever it turns up in a message of this process; gives the secret back."""
    text = secret.reveal()
    if len(text) >= _HEAD:
        with _hiding:
            (_hidden_long if len(text) >= _LONG else _hidden).setdefault(text[:_HEAD], {})[text] = None
    return secret


def redact(text: str) -> str:
    """Mask what was hidden, and whatever has the shape of a token, a key or a login."""
    tables = (_hidden, _hidden_long) if len(text) >= _LONG else (_hidden,)
    # Other threads may hide more meanwhile: what is gone through is a copy, which CPython makes in one step.
    perhaps = [secret for table in tables for head in _heads_in(text, table) for secret in tuple(table[head])]
    for secret in sorted(perhaps, key=len, reverse=True):  # one may be a part of another
        text = text.replace(secret, MASK)
    if len(text) < _RUN and not any(mark in text for mark in _MARKS):
        return text
    return _SHAPES.sub(_masked, text)


def _heads_in(text: str, table: Mapping[str, object]) -> list[str]:
    heads = tuple(table)
    if len(heads) < len(text):  # secrets of one kind often begin alike
        return [head for head in heads if head in text]
    windows = {text[start : start + _HEAD] for start in range(len(text) - _HEAD + 1)}
    return [head for head in windows if head in table]


def _masked(found: re.Match[str]) -> str:
    run = found["run"] or ""
    return run if "/" in run and not any(map(_looks_random, run.split("/"))) else MASK


def _looks_random(part: str) -> bool:
    kinds = (str.islower, str.isupper, str.isdigit)
    return len(part) > _PART_MAX and all(any(map(is_kind, part)) for is_kind in kinds)


def place_of(error: BaseException) -> str:
    """Type and place of an error of ours; its values may be secret, so they are not shown."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    where = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "nowhere"
    return f"{type(error).__name__} at {where}; this is a fault of ecr-refresher, please report it"


def configure(level: str = "info", fmt: str = "json") -> None:
    """Set up logging; may be called again when the settings change."""
    global _plain  # noqa: PLW0603 - as structlog's own configuration, one for each process
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    if "logging" in sys.modules:
        silence_libraries()
    _plain = _Plain(level) if fmt == "json" else None
    if _plain is None:
        _configure_structlog(level)


def silence_libraries() -> None:
    """botocore logs tokens at DEBUG, urllib3 whole URLs: the loggers of libraries stay silent, those to come as well.

    For the processes that load them; in the daemon `logging` itself would be a megabyte in vain.
    """
    import logging

    logging.disable()


def _configure_structlog(level: str) -> None:
    import structlog

    colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            lambda _logger, _method, event: _tidy(event),
            structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=_Stderr,
        cache_logger_on_first_use=False,
    )


@contextlib.contextmanager
def lines_above(clear: Callable[[], None]) -> Iterator[None]:
    """Have `clear` called before each line: there is a line of progress where it would go. Cleared in the end, too."""
    _Stderr.clear = staticmethod(clear)
    try:
        yield
    finally:
        _Stderr.clear = staticmethod(_nothing)
        clear()


def _nothing() -> None:
    pass


def get() -> Any:
    """The process's logger."""
    if _plain is not None:
        return _plain
    import structlog

    return structlog.get_logger()


def tell_settings_errors(errors: Sequence[str]) -> None:
    """Print what is wrong with the settings of a command that ends for it: for people, a line each."""
    for error in errors:
        _Stderr().msg(f"ecr-refresher: settings: {redact(error)}")


class _Stderr:
    """Writes whole lines; a full disk or a closed pipe behind stderr must not end the daemon."""

    clear: Callable[[], None] = staticmethod(_nothing)

    def __init__(self, *_: object) -> None:
        pass

    def msg(self, line: str) -> None:
        self.clear()
        try:
            os.write(2, line.encode(errors="replace") + b"\n")
        except OSError:
            return

    debug = info = warning = error = msg


class _Plain:
    """Makes the lines that structlog makes of the same; a test holds one against the other."""

    def __init__(self, level: str) -> None:
        self._least = _LEVELS[level]

    def _say(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        if _LEVELS[level] >= self._least:
            now = time.time()
            seconds, micros = divmod(int(now * 1e6), 1_000_000)
            timestamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{micros:06d}Z"
            line = _tidy({**fields, "timestamp": timestamp, "level": level, "event": event})
            _Stderr().msg(json.dumps(line))

    def debug(self, event: str, **fields: Any) -> None:
        self._say("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._say("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._say("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._say("error", event, fields)


_plain: _Plain | None = None


def _tidy(event: Mapping[str, Any]) -> dict[str, Any]:
    """Drop what is not known, mask what is secret, and put the fields that every line has in front."""
    first = {name: event[name] for name in ("timestamp", "level", "event") if name in event}
    rest = {name: _clean(value) for name, value in event.items() if name not in first and value is not None}
    return {**first, **rest}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    return value if isinstance(value, bool | int | float) else redact(str(value))
