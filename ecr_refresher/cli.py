"""The roof: what each command runs, and nothing else. A command loads only the parts that it needs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from .core.exits import EXIT_DONE, EXIT_FAILED, EXIT_MEMORY

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from .core import wire

WORKER = "worker"  # started by the supervisor, not by people


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 something failed, 2 wrong settings or command line."""
    words = list(sys.argv[1:] if argv is None else argv)
    _dump_no_core()
    _fill_what_is_closed()
    if words == [WORKER]:
        return _worker()
    try:
        return _do(words)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe has ended, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_FAILED


def _do(words: list[str]) -> int:
    from . import options

    given = options.parse(words)
    return _COMMANDS[given.command](given)


def _worker() -> int:
    from . import logs
    from .job import worker

    logs.silence_libraries()
    sys.stdout = sys.stderr = logs.Printed()  # its answers go to the descriptor, not through these

    def serve() -> int:
        try:
            return worker.serve()
        except MemoryError:
            error, fix = f"the worker reached its memory limit{_data_limit()}", "Raise the memory limit"
            logs.get().error("worker_failed", reason="internal", error=error, fix=fix)
            return EXIT_MEMORY

    return _end(_bare_of_values("worker", serve))


def _data_limit() -> str:
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return "" if limit == resource.RLIM_INFINITY else f" of {limit >> 20} MiB"


def _run(given: argparse.Namespace) -> int:
    import signal

    # Signals wait until the daemon handles them: as process 1 it would never get those that come before, and as
    # another process it would die of them.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1))
    from .daemon import supervisor

    # -P: modules are not imported from the directory that the daemon happens to be started in.
    worker = [sys.executable, "-P", "-m", "ecr_refresher", WORKER]
    return supervisor.run(_source(given), worker, os.environ)


def _once(given: argparse.Namespace) -> int:
    from .terminal import Paint, Progress

    paint, progress = Paint(sys.stdout), Progress(sys.stderr)

    def once() -> tuple[int, str]:
        from .job.commands import once

        how = {"force": given.force, "dry_run": given.dry_run, "strict": given.strict}
        status, table, document = once.run(_source(given), paint, progress, **how)
        return status, once.dump(document) if given.json else table

    return _in_the_foreground("once", once)


def _check(given: argparse.Namespace) -> int:
    from .terminal import Paint

    paint = Paint(sys.stdout)

    def check() -> tuple[int, str]:
        from .job import doctor

        checked = doctor.run(_source(given), reader=given.reader)
        return checked.status, checked.json() if given.json else checked.table(paint)

    return _in_the_foreground("check", check)


def _status(given: argparse.Namespace) -> int:
    from .status import command

    return command.run(given.url, given.ca, given.config, os.environ, live=given.live, as_json=given.json)


def _config(given: argparse.Namespace) -> int:
    def config() -> tuple[int, str]:
        from .job.commands import config

        return (EXIT_DONE, config.schema()) if given.what == "schema" else config.show(_source(given))

    return _in_the_foreground("config", config)


def _iam_policy(given: argparse.Namespace) -> int:
    def iam_policy() -> tuple[int, str]:
        from .job.aws import iam_policy
        from .job.commands import iam_policy as iam

        wanted = iam_policy.Wanted(
            given.purpose,
            public=given.public,
            pull_through_cache=given.pull_through_cache,
            create_repository=given.create_repository,
        )
        return iam.policy(_source(given), wanted, given.repository, given.assume_role)

    return _in_the_foreground("iam_policy", iam_policy)


def _cleanup(given: argparse.Namespace) -> int:
    def cleanup() -> tuple[int, str]:
        from .job.commands import cleanup as command
        from .job.commands import once

        status, text, document = command.run(_source(given), dry_run=given.dry_run)
        return status, once.dump(document) if given.json else text

    return _in_the_foreground("cleanup", cleanup)


def _demo(given: argparse.Namespace) -> int:
    from .standins import demo

    return demo.run([sys.executable, "-P", "-m", "ecr_refresher"], given.duration)


_COMMANDS = {
    "run": _run,
    "once": _once,
    "check": _check,
    "status": _status,
    "config": _config,
    "cleanup": _cleanup,
    "iam-policy": _iam_policy,
    "demo": _demo,
}


def _source(given: argparse.Namespace) -> wire.Load:
    """Where the settings come from, for the commands that read them."""
    from .core import wire

    return wire.Load(given.config, given.log_level, given.log_format)


def _in_the_foreground(name: str, work: Callable[[], tuple[int, str]]) -> int:
    """Do a worker's job in this process; print the result, and end with its status."""
    import contextlib
    import signal

    from . import logs

    logs.silence_libraries()
    # Process 1 of a container ignores a signal that it does not handle. Files stay whole wherever this ends it.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(EXIT_FAILED))
    text = ""

    def quietly() -> int:
        nonlocal text
        with contextlib.redirect_stdout(logs.Printed()):
            status, text = work()
        return status

    status = _bare_of_values(name, quietly)
    if text:
        print(text, flush=True)  # noqa: T201 - standard output is for the command's result
    return _end(status)


def _bare_of_values(name: str, work: Callable[[], int]) -> int:
    """The status of `work`. A traceback would show values, and one may be a token: only the place is logged."""
    from . import logs

    try:
        return work()
    except Exception as error:  # noqa: BLE001 - see above
        failure = logs.fault_of(error)
        logs.get().error(f"{name}_failed", reason=failure.reason, error=failure.message, fix=failure.fix)
        return EXIT_FAILED


def _fill_what_is_closed() -> None:
    """Open /dev/null as 0, 1 and 2 where they are closed: a file with such a number would be written to by mistake."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number


def _dump_no_core() -> None:
    """Switch core dumps off: one would hold tokens, and keys from the environment.

    A limit of 0 stops dumps to a file only. A limit of 1 byte also stops dumps to a program (`core_pattern` with a
    `|`), because the kernel uses it to mark that program's own crash. See core(5) and fs/coredump.c.
    """
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    most = 1 if hard == resource.RLIM_INFINITY else min(hard, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


def _end(status: int) -> int:
    """End at once: a thread that waits for a hung server must not delay the end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
