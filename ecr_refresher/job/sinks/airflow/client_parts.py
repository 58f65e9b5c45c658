"""The official client's transport, without the client's two hundred models.

Importing any module of `airflow_client.client` imports all of it, and pydantic for it; docs/how-it-works.md says what
that costs a pass. Requests and answers are JSON of our own here, so the modules that send are enough. This is the one
place that imports a library's parts without the library; where a version does not allow that, it is imported whole.
"""

import importlib
import importlib.util
import sys
from contextlib import suppress
from types import ModuleType

PACKAGE = "airflow_client.client"


def _imported() -> list[ModuleType]:
    return [importlib.import_module(f"{PACKAGE}.{name}") for name in ("rest", "configuration")]


def _without_package() -> list[ModuleType] | None:
    """The parts from under a package that has not run; None where that can't be had. Leaves no trace of it."""
    spec = importlib.util.find_spec(PACKAGE)
    if PACKAGE in sys.modules or spec is None:
        return None
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    try:
        with suppress(Exception):  # whatever another version stumbles over
            return _imported()
        return None
    finally:  # a later import of the package gets the whole of it
        for name in [name for name in list(sys.modules) if f"{name}.".startswith(f"{PACKAGE}.")]:
            del sys.modules[name]


_rest, _configuration = _without_package() or _imported()
RESTClientObject, Configuration = _rest.RESTClientObject, _configuration.Configuration
