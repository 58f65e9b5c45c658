"""Runs a program within bounds of time and output."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

from ...orphans import END_S


class OutOfBoundsError(Exception):
    """The program took too long or printed too much. The text says which."""


def run(
    argv: Sequence[str], text: bytes, *, seconds: float, most: int, environ: Mapping[str, str], own_session: bool
) -> tuple[int, bytes]:
    """Return the exit status and what was printed; the text goes to standard input.

    A session of its own has no terminal, and ends as a whole when this returns. Its standard input stays open until
    then, so that its leader can end with this process. Raises OutOfBoundsError and OSError.
    """
    ends_at = time.monotonic() + seconds
    child = subprocess.Popen(  # noqa: S603 - the callers name our own module, or the helper that config.json names
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environ,
        cwd="/",
        bufsize=0,
        start_new_session=own_session,
    )
    try:
        output = _exchange(child, text, most, ends_at, keep_open=own_session)
        if output is None or not _has_ended(child, ends_at):
            raise OutOfBoundsError(f"no answer within {seconds:g} s")
    finally:
        _end(child, own_session=own_session)  # not reaped before: its group keeps its number
    return child.returncode, output


def _exchange(
    child: subprocess.Popen[bytes], text: bytes, most: int, ends_at: float, *, keep_open: bool
) -> bytes | None:
    """Write the text; return what is printed, or None if that takes too long. Raises OutOfBoundsError."""
    assert child.stdin is not None  # noqa: S101 - both are pipes
    assert child.stdout is not None  # noqa: S101
    output, rest = b"", memoryview(text)
    with selectors.DefaultSelector() as pipes:
        os.set_blocking(child.stdin.fileno(), False)
        pipes.register(child.stdin, selectors.EVENT_WRITE)
        pipes.register(child.stdout, selectors.EVENT_READ)
        while (left := ends_at - time.monotonic()) > 0:
            for key, _ in pipes.select(left):
                if key.fileobj is child.stdout:
                    printed = os.read(key.fd, 1 << 16)
                    if not printed:
                        return output
                    output += printed
                    if len(output) > most:
                        raise OutOfBoundsError(f"printed more than {most >> 10} KiB")
                    continue
                try:
                    rest = rest[os.write(key.fd, rest) :]
                except BrokenPipeError:
                    rest = rest[:0]
                if not rest:
                    pipes.unregister(child.stdin)
                    if not keep_open:
                        child.stdin.close()
    return None


def _has_ended(child: subprocess.Popen[bytes], ends_at: float) -> bool:
    """Wait for its end, and leave it to be reaped."""
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > ends_at:
            return False
        time.sleep(0.001)
    return True


def _end(child: subprocess.Popen[bytes], *, own_session: bool) -> None:
    """Kill it. A session's leader is told first, by the end of standard input: it knows what it has started elsewhere.

    And root may lack the right to kill another user's process.
    """
    if own_session and child.stdin is not None:
        child.stdin.close()
        _has_ended(child, time.monotonic() + END_S)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if own_session else os.kill)(child.pid, signal.SIGKILL)
    for pipe in filter(None, (child.stdin, child.stdout)):
        pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):  # stopped by its user, and not to be killed
        child.wait(END_S)
