"""What a job's process may use: memory, time, and no terminal."""

import faulthandler
import os
import resource
import signal
import threading
from collections.abc import Callable
from typing import NoReturn

from .. import logs, memory
from ..core import budgets
from ..core.exits import EXIT_FAILED, EXIT_MEMORY

EXIT_ORPHANED = 3
_STRAY = "stray output"


def bound_memory() -> None:
    """Let a leak end in a MemoryError here, before the kernel ends this process or its supervisor."""
    threading.stack_size(budgets.STACK)  # by default as large as `ulimit -s`, and stacks count as data
    most = memory.within(memory.data_max(memory.read().limit))
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def bare_of_values(name: str, work: Callable[[], int]) -> int:
    """Do the work; returns its exit status. A traceback would show values, and one may be a token: none is shown."""
    try:
        return work()
    except MemoryError:
        most = resource.getrlimit(resource.RLIMIT_DATA)[0]
        error = f"the {name} reached its memory limit" + (f" of {most >> 20} MiB" if most > 0 else "")
        logs.get().error(f"{name}_failed", reason="internal", error=error, fix=memory.MORE)
        return EXIT_MEMORY
    except Exception as error:  # noqa: BLE001 - see above
        logs.get().error(f"{name}_failed", **logs.fault_of(error).fields)
        return EXIT_FAILED


def set_alarm(seconds: float) -> None:
    """End the process group after this time; a little later even where the interpreter itself is stuck."""
    signal.signal(signal.SIGALRM, lambda _number, _frame: end_group())
    signal.setitimer(signal.ITIMER_REAL, max(0.1, seconds))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    faulthandler.dump_traceback_later(max(0.1, seconds) + 0.5, exit=True, file=nowhere)


def end_group() -> NoReturn:
    """End this process and everything that it started."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(EXIT_ORPHANED)


def leave_terminal() -> tuple[int, int]:
    """Close standard input, and send what libraries and children print into the log.

    Returns descriptors of the real standard output and standard error. Log lines go to the real one.
    """
    output, errors = os.dup(1), os.dup(2)
    logs.write_to(errors)
    reading, writing = os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    os.close(writing)
    os.close(nothing)
    threading.Thread(target=_log_lines, args=(reading,), name=_STRAY, daemon=True).start()
    return output, errors


def hear_out() -> None:
    """Log all that has been printed, before this process ends; a child that outlives it is not waited for."""
    for thread in threading.enumerate():
        if thread.name == _STRAY:
            os.dup2(0, 1)  # the thread ends once nobody can write to its pipe
            os.dup2(0, 2)
            thread.join(budgets.STRAY_S)


def _log_lines(descriptor: int) -> None:
    total = 0
    with open(descriptor, "rb") as file:
        while line := file.readline(budgets.STRAY_LINE):  # longer lines come in pieces
            total += len(line)
            if total <= budgets.STRAY_ALL and line.strip():
                logs.get().warning("stray_output", text=line.decode(errors="replace").rstrip())
