"""The file in which last uses outlive a restart: replaced whole, under a lock, by the listener and by cleanups."""

from collections.abc import Collection
from dataclasses import replace

from ...files.atomic_file import Ownership, make_directories
from ...files.lock import locked
from ...files.paths import locate, opened
from . import last_use
from .last_use import History

SAVE_WITHIN_S = 1.0  # the listener saves a use after so long


class StateFile:
    """One file, of one engine. Raises Failed where it can't be read or written."""

    def __init__(self, path: str) -> None:
        self._path, self._file = path, locate(path)
        make_directories(self._file.folder)

    def load(self) -> tuple[History | None, bool]:
        """What it holds, and whether there is a file at all; None if it is lost or malformed."""
        with opened(self._path, self._file) as folder:
            content = folder.read(self._file.name).content
        return last_use.load(content), content is not None

    def save(self, history: History, present: Collection[str]) -> History:
        """Save the uses of present images, merged with what others have written."""
        with opened(self._path, self._file) as folder, locked(folder, f"{self._file.name}.lock"):
            before = last_use.load(folder.read(self._file.name).content)
            whole = history if before is None else last_use.merged(before, history)
            images = {image_id: seen for image_id, seen in whole.images.items() if image_id in present}
            whole = replace(whole, images=images)
            folder.replace(self._file.name, last_use.dump(whole), Ownership(0o600))
        return whole
