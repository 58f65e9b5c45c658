"""Files that settings name: opened without blocking, read up to a bound, and refused unless they are regular."""

import os
import stat


def read(path: str, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes.

    Raises OSError; ValueError where the path names another kind of thing, or the file is larger.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("is not a regular file")
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"is larger than {most} bytes")
    return content
