"""What one cleanup keeps for the next hour's cleanups: answers of registries, and where the space is.

Both cost requests or a walk over the disk, and each cleanup is a new process.
"""

from __future__ import annotations

import msgspec

from ...core.model import Failed
from ..files.atomic_file import Ownership
from ..files.paths import locate, opened

REMEMBERED_S = 3600.0
ANSWERS_MAX = 5000
Answers = dict[str, tuple[float, str]]  # image id -> when its registry was asked, and why it can't be pulled


class Remembered(msgspec.Struct):
    """Kept in a file beside the state file. Losing it costs requests, but no image."""

    answers: Answers = {}
    unreclaimed: dict[str, int] = {}
    unreclaimed_at: float | None = None

    @classmethod
    def load(cls, state_file: str, now: float) -> Remembered:
        """The entries that still count; empty if the file can't be read or is malformed."""
        path = f"{state_file}.asked"
        try:
            file = locate(path)
            with opened(path, file) as folder:
                read = msgspec.json.decode(folder.read(file.name).content or b"{}", type=cls)
        except (Failed, msgspec.MsgspecError, RecursionError):
            return cls()
        read.answers = {image: (at, word) for image, (at, word) in read.answers.items() if 0 <= now - at < REMEMBERED_S}
        if read.unreclaimed_at is None or not 0 <= now - read.unreclaimed_at < REMEMBERED_S:
            read.unreclaimed, read.unreclaimed_at = {}, None
        return read

    def save(self, state_file: str) -> None:
        """Save it. Raises Failed."""
        path = f"{state_file}.asked"
        file = locate(path)
        newest = dict(sorted(self.answers.items(), key=lambda item: -item[1][0])[:ANSWERS_MAX])
        content = msgspec.json.encode(Remembered(newest, self.unreclaimed, self.unreclaimed_at))
        with opened(path, file) as folder:
            folder.replace(file.name, content, Ownership(0o600))
