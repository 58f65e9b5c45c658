"""Runs a command's work in a child process, and leaves no process behind.

The child leads a session without a terminal, so that no library and no credential helper can read from the terminal or
type into it. Afterwards its whole group is killed, and what its helpers have left behind in sessions of their own.
"""

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, TextIO

from ... import memory
from ...core.exits import EXIT_FAILED, EXIT_MEMORY, EXIT_USAGE
from ...terminal import LINE_BACK, Block, Progress, rendered

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Result:
    """The exit status, and what a command prints: a text or blocks for people; with --json a document."""

    status: int
    page: str | Sequence[Block] = ""
    document: dict[str, Any] | None = None

    def text(self, stream: TextIO, *, as_json: bool) -> str:
        if isinstance(self.page, str):
            return self.page
        return json.dumps(self.document, indent=2) if as_json else rendered(self.page, stream)


SETTINGS_REFUSED = Result(EXIT_USAGE, (), {"error": "the settings are wrong; see standard error"})

Work = Callable[[Progress], Result]


def run(name: str, work: Work, limit_s: float, *, as_json: bool = False) -> int:
    """Do the work, print its result, and return the exit status. It is ended after `limit_s` seconds."""
    alive, alive_here = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # none may come before both can handle it
    child = os.fork()
    if child == 0:
        os.close(alive_here)
        os.setsid()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        os._exit(_do(name, work, limit_s, alive, as_json=as_json))
    os.close(alive)
    return _wait(name, child)


def _wait(name: str, child: int) -> int:
    ended_by: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        ended_by.append(number)
        os.kill(child, signal.SIGKILL)

    kills_before = memory.read().kills
    for number in _ENDING:
        signal.signal(number, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # not reaped yet, so that the group keeps its number
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(ProcessLookupError):  # the child was killed before it led a group
        os.killpg(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0 and os.isatty(2):
        os.write(2, LINE_BACK)
    if ended_by:
        return 130 if ended_by[0] == signal.SIGINT else EXIT_FAILED
    if code < 0:
        from ... import logs

        late = ("it took longer than it may, or somebody killed it", "Find out what hangs")
        other = (f"killed by signal {-code}", "Please report it")
        error, fix = memory.killed_since(kills_before) or (late if code == -signal.SIGKILL else other)
        logs.get().error(f"{name}_failed", reason="internal", error=error, fix=fix)
        return EXIT_FAILED
    return code


def _do(name: str, work: Work, limit_s: float, alive: int, *, as_json: bool) -> int:
    """The child: do the work; returns the exit status."""
    from ... import logs
    from .. import limits, orphans

    with contextlib.suppress(*orphans.UNABLE):
        orphans.adopt()
    output, errors = limits.leave_terminal()
    stream, progress = os.fdopen(output, "w"), Progress(os.fdopen(errors, "w", closefd=False))
    logs.silence_libraries()
    sys.stdout = sys.stderr = logs.Printed()
    limits.bound_memory()
    limits.set_alarm(limit_s)
    threading.Thread(target=lambda: os.read(alive, 1) or limits.end_group(), name="orphan", daemon=True).start()

    def work_and_print() -> int:
        with logs.lines_above(progress.clear):
            result = work(progress)
        text = result.text(stream, as_json=as_json)
        with contextlib.suppress(BrokenPipeError):  # the reader of a pipe has ended, as `head` does
            print(text, end="\n" if text else "", file=stream, flush=True)
        return result.status

    status = limits.bare_of_values(name, work_and_print)
    orphans.end_all()
    limits.hear_out()
    return EXIT_FAILED if status == EXIT_MEMORY else status
