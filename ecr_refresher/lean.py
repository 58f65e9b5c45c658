"""Single modules of a library, without all the rest that its package imports and a process would have to hold."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def modules(package: str, *names: str) -> list[ModuleType]:
    """Import these modules of a package without running its `__init__`.

    Where a version of it does not let us, or the package has been imported already, they are imported as usual. For
    each package that is imported so, a test tells whether it still goes: without it nothing breaks, but memory and time
    are lost.
    """
    if package not in sys.modules:
        try:
            _put_into_place(package)
            for name in names:
                importlib.import_module(f"{package}.{name}")
        except Exception:  # noqa: BLE001 - whatever another version trips over
            for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
                del sys.modules[name]
    return [importlib.import_module(f"{package}.{name}") for name in names]


def _put_into_place(name: str) -> None:
    """Make a package importable from without running it."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ImportError(name)
    sys.modules[name] = package = importlib.util.module_from_spec(spec)
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, package)
