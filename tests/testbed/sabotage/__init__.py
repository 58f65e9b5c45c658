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
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "SABOTAGE_EDITS": str(file)}


def passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the product needs of a test's environment to run the same checkout, with the same edits."""
    return {name: environ[name] for name in VARIABLES if name in environ}
