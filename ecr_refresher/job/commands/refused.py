"""How settings that are refused are told on standard error: each error on a line of its own."""

from __future__ import annotations

from ... import logs
from ...core.exits import EXIT_USAGE
from ..settings import SettingsError


def tell(error: SettingsError) -> int:
    """Print every error; gives the exit status that goes with it."""
    logs.tell_settings_errors(error.errors)
    return EXIT_USAGE
