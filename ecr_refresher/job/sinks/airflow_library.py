"""The official client's transport without its models: of 54 MB and 0.75 s of CPU, 34 MB and 0.2 s are left.

`airflow_client.client` loads each of its two hundred models and APIs when any module of it is imported. We send and
read JSON of our own (airflow_dialects.py), so both packages are put into place without being run, and only the
modules of the transport are. Where a later version wants more than that, it is imported as usual: a test tells.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_client.client.api_client import ApiClient
    from airflow_client.client.configuration import Configuration

_CLIENT = "airflow_client.client"
_NOT_RUN = (_CLIENT, f"{_CLIENT}.models")


def load() -> tuple[type[ApiClient], type[Configuration]]:
    """Import the client's transport, and no more of it than that where its version lets us."""
    if _CLIENT not in sys.modules:
        try:
            for name in _NOT_RUN:
                _put_into_place(name)
            importlib.import_module(f"{_CLIENT}.api_client")
        except Exception:  # noqa: BLE001 - whatever another version trips over
            for name in [name for name in sys.modules if name == _CLIENT or name.startswith(f"{_CLIENT}.")]:
                del sys.modules[name]
    from airflow_client.client.api_client import ApiClient
    from airflow_client.client.configuration import Configuration

    return ApiClient, Configuration


def _put_into_place(name: str) -> None:
    """Make a package importable from without running its `__init__`."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ImportError(name)
    sys.modules[name] = package = importlib.util.module_from_spec(spec)
    parent, _, last = name.rpartition(".")
    setattr(sys.modules[parent], last, package)
