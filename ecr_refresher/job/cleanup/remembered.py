"""What one cleanup leaves for those of the next hour: answers of registries, and where the space is.

Both cost requests or a walk over the disk, and a cleanup is a process of its own each minute.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

from ...core.model import Failed
from ..files.atomic_file import Folder, Ownership

REMEMBERED_S = 3600.0
ANSWERS_MAX = 5000
Answers = dict[str, tuple[float, str]]  # image id -> when its registry was asked, and what it said against it


@dataclass(slots=True)
class Remembered:
    """Read from and kept in a file beside the state file. Losing it costs requests, and no image."""

    answers: Answers = field(default_factory=dict)
    unreclaimed: dict[str, int] = field(default_factory=dict)
    unreclaimed_at: float | None = None

    @classmethod
    def load(cls, state_file: str, now: float) -> Remembered:
        """What still counts; nothing where the file can't be read or makes no sense."""
        directory, name = os.path.split(f"{state_file}.asked")
        try:
            with Folder(directory) as folder:
                raw: Any = json.loads(folder.read(name).content or b"{}")
            answers = {str(image): (float(at), str(word)) for image, (at, word) in raw.get("answers", {}).items()}
            at, found = raw.get("unreclaimed") or (None, {})
            space = {str(kind): int(count) for kind, count in found.items()}
        except (Failed, ValueError, TypeError, AttributeError, RecursionError):
            return cls()
        fresh = {image: entry for image, entry in answers.items() if 0 <= now - entry[0] < REMEMBERED_S}
        if isinstance(at, int | float) and 0 <= now - at < REMEMBERED_S:
            return cls(fresh, space, float(at))
        return cls(fresh)

    def save(self, state_file: str) -> None:
        """Keep it. Raises Failed."""
        directory, name = os.path.split(f"{state_file}.asked")
        newest = dict(sorted(self.answers.items(), key=lambda item: -item[1][0])[:ANSWERS_MAX])
        content = {"answers": newest, "unreclaimed": [self.unreclaimed_at, self.unreclaimed]}
        with Folder(directory) as folder:
            folder.replace(name, json.dumps(content).encode(), Ownership(0o600))
