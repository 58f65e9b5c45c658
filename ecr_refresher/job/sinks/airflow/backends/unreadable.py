"""The error that all forms of a file of connections share."""

from __future__ import annotations


class Unreadable(Exception):
    """What is wrong with a file, to stand behind its path, and the fix. Shows nothing of the text."""

    def __init__(self, said: str, fix: str) -> None:
        super().__init__(said)
        self.said, self.fix = said, fix
