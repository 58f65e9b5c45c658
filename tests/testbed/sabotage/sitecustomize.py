"""Has some lines of the product read otherwise. Python loads this by itself at its start, from PYTHONPATH.

SABOTAGE_EDITS names a JSON file: a list of [module, old, new], each `old` once in its module's source.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType

NO_SUCH_LINES = 97  # exit status


class Editor(importlib.abc.MetaPathFinder):
    """Finds the modules to be edited as Python does, and gives them another loader."""

    def __init__(self, edits: list[tuple[str, str, str]]) -> None:
        self.edits = edits

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        mine = [(old, new) for module, old, new in self.edits if module == fullname]
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target) if mine else None
        if spec is not None and spec.origin is not None:
            spec.loader = Edited(fullname, spec.origin, mine)
        return spec


class Edited(importlib.machinery.SourceFileLoader):
    """Compiles the edited source, past all caches."""

    def __init__(self, fullname: str, path: str, edits: list[tuple[str, str]]) -> None:
        super().__init__(fullname, path)
        self.edits = edits

    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text()
        for old, new in self.edits:
            if source.count(old) != 1:
                print(f"sabotage: {fullname} has {source.count(old)} times {old!r}, not once", file=sys.stderr)
                os._exit(NO_SUCH_LINES)
            source = source.replace(old, new)
        return compile(source, self.path, "exec", dont_inherit=True)


if file := os.environ.get("SABOTAGE_EDITS"):
    sys.meta_path.insert(0, Editor([tuple(edit) for edit in json.loads(Path(file).read_text())]))
