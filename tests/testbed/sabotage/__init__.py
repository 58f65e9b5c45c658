"""Faults of the product's own code, made on purpose: some of its lines are read otherwise (sitecustomize.py)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

VARIABLES = ("PYTHONPATH", "SABOTAGE_EDITS")


def sabotaged(file: Path, *edits: tuple[str, str, str]) -> dict[str, str]:
    """The environment that makes these edits in a Python: (module, its old text, the new one); `file` keeps them.

    Where we run in such an environment ourselves, its edits are made as well.
    """
    around = os.environ.get("SABOTAGE_EDITS")
    file.write_text(json.dumps([*(json.loads(Path(around).read_text()) if around else []), *edits]))
    return {"PYTHONPATH": str(Path(__file__).parent), "SABOTAGE_EDITS": str(file)}


def passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """What the product must get of a test's environment for the edits to reach it."""
    return {name: environ[name] for name in VARIABLES} if VARIABLES[1] in environ else {}
