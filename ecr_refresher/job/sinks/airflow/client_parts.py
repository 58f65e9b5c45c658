"""The official client's transport, without the client's two hundred models.

Importing any module of `airflow_client.client` imports all of it, and pydantic for it; docs/how-it-works.md says what
that costs a pass. Requests and answers are JSON of our own here, so the modules that send are enough. This is the one
place that imports a library's parts without the library; where a version does not allow that, it is imported whole.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_client.client.configuration import Configuration
    from airflow_client.client.exceptions import ApiException
    from airflow_client.client.rest import RESTClientObject

PACKAGE = "airflow_client.client"
_loading = threading.Lock()
_loaded: list[Parts] = []


@dataclass(frozen=True, slots=True)
class Parts:
    """What sends requests."""

    rest_client: type[RESTClientObject]
    configuration: type[Configuration]
    api_exception: type[ApiException]


def load() -> Parts:
    """Import the parts, once for the process."""
    with _loading:
        if not _loaded:
            _loaded.append(_without_package() or _imported())
        return _loaded[0]


def _without_package() -> Parts | None:
    """The parts from under a package that has not run; None where that can't be had. Leaves no trace of it."""
    if PACKAGE in sys.modules:
        return None
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None:
        return None
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    try:
        with suppress(Exception):  # whatever another version stumbles over
            return _imported()
        return None
    finally:  # a later import of the package gets the whole of it
        for name in [name for name in list(sys.modules) if f"{name}.".startswith(f"{PACKAGE}.")]:
            del sys.modules[name]


def _imported() -> Parts:
    rest, configuration, exceptions = (
        importlib.import_module(f"{PACKAGE}.{name}") for name in ("rest", "configuration", "exceptions")
    )
    return Parts(rest.RESTClientObject, configuration.Configuration, exceptions.ApiException)
