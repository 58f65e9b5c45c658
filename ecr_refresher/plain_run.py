"""`run` and its options as nearly everybody writes them, read without argparse: that would stay in the daemon's memory.

What is written in any other way, `--help` and errors among them, is argparse's: `options`.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's own, without its import: see cli
if TYPE_CHECKING:
    from collections.abc import Sequence

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("json", "console")
_OPTIONS = {"--config": ("config", ()), "--log-level": ("log_level", LEVELS), "--log-format": ("log_format", FORMATS)}


class Given:
    """What `options.parse` would give, as far as `run` goes."""

    command = "run"
    config: str | None = None
    log_level: str | None = None
    log_format: str | None = None


def parse(words: Sequence[str]) -> Given | None:
    """Read `run`, and options as `--name VALUE` or `--name=VALUE`; None for anything else."""
    if not words or words[0] != "run":
        return None
    given, rest = Given(), list(words[1:])
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        if option not in _OPTIONS:
            return None
        if not equals:
            if not rest:
                return None
            value = rest.pop(0)
        name, choices = _OPTIONS[option]
        if value.startswith("-") or (choices and value not in choices):
            return None
        setattr(given, name, value)
    return given
