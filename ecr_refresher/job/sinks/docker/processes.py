"""Runs a program within bounds of time and output."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence


class OutOfBoundsError(Exception):
    """The program took too long or printed too much. The text says which."""


def run(
    argv: Sequence[str], text: bytes, *, seconds: float, most: int, environ: Mapping[str, str], own_session: bool
) -> tuple[int, bytes]:
    """Return the exit status and what was printed. The text goes to standard input, one line to a session of its own.

    A session of its own has no terminal, and ends as a whole when this returns. Its standard input stays open until
    then, so that its leader can end with this process. Raises OutOfBoundsError and OSError.
    """
    child = subprocess.Popen(  # noqa: S603 - the callers name our own module, or the helper that config.json names
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environ,
        cwd="/",
        start_new_session=own_session,
    )
    late = threading.Event()

    def end() -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            (os.killpg if own_session else os.kill)(child.pid, signal.SIGKILL)

    def ring() -> None:
        late.set()
        end()

    timer = threading.Timer(seconds, ring)
    timer.daemon = True
    timer.start()
    try:
        output = _exchange(child, text, most, keep_open=own_session)
        if len(output) <= most:
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # not reaped: its group keeps its number
    finally:
        timer.cancel()
        timer.join()
        end()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]  # both are pipes
    if late.is_set():
        raise OutOfBoundsError(f"no answer within {seconds:g} s")
    if len(output) > most:
        raise OutOfBoundsError(f"printed more than {most >> 10} KiB")
    return child.returncode, output


def _exchange(child: subprocess.Popen[bytes], text: bytes, most: int, *, keep_open: bool) -> bytes:
    assert child.stdin is not None  # noqa: S101 - both are pipes
    assert child.stdout is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(text)
        child.stdin.flush() if keep_open else child.stdin.close()
    return child.stdout.read(most + 1)
