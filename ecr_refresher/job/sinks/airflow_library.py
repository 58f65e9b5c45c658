"""The official client's way to send requests, without its models: 0.05 s of CPU and 20 MB instead of 0.75 s and 54 MB.

`airflow_client.client` loads each of its two hundred models and APIs when any module of it is imported, and pydantic
for them. We send and read JSON of our own (airflow_dialects.py), so that package is put into place without being run,
and only the modules that send are. Where a later version wants more than that, it is imported as usual: a test tells.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_client.client.configuration import Configuration
    from airflow_client.client.rest import RESTClientObject

_CLIENT = "airflow_client.client"


def load() -> tuple[type[RESTClientObject], type[Configuration]]:
    """Import what sends requests, and no more of the client than that where its version lets us."""
    if _CLIENT not in sys.modules:
        try:
            _put_into_place(_CLIENT)
            for module in ("configuration", "rest"):
                importlib.import_module(f"{_CLIENT}.{module}")
        except Exception:  # noqa: BLE001 - whatever another version trips over
            for name in [name for name in sys.modules if name == _CLIENT or name.startswith(f"{_CLIENT}.")]:
                del sys.modules[name]
    from airflow_client.client.configuration import Configuration
    from airflow_client.client.rest import RESTClientObject

    return RESTClientObject, Configuration


def _put_into_place(name: str) -> None:
    """Make a package importable from without running its `__init__`."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ImportError(name)
    sys.modules[name] = package = importlib.util.module_from_spec(spec)
    parent, _, last = name.rpartition(".")
    setattr(sys.modules[parent], last, package)
