"""How settings that are refused are told on standard error: each error on a line of its own."""

from __future__ import annotations

import sys

from .. import logs
from .settings import SettingsError

EXIT_SETTINGS = 2


def tell(error: SettingsError) -> int:
    """Print every error; gives the exit status that goes with it."""
    for line in error.errors:
        print(f"ecr-refresher: settings: {logs.redact(line)}", file=sys.stderr, flush=True)  # noqa: T201 - for people
    return EXIT_SETTINGS
