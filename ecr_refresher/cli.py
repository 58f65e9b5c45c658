"""The roof: what each command runs, and nothing else. A command loads only the parts that it needs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from .core.exits import EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from .core import wire
    from .job.commands.foreground import Streams, Work

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
    from .job import limits, worker

    logs.silence_libraries()
    sys.stdout = sys.stderr = logs.Printed()  # its answers go to the descriptor, not through these
    return _end(limits.bare_of_values("worker", worker.serve))


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
    def once(streams: Streams) -> tuple[int, str]:
        from .job.commands import once

        how = {"force": given.force, "dry_run": given.dry_run, "strict": given.strict}
        return once.run(_source(given), streams.progress, **how).shown(streams, as_json=given.json)

    return _in_the_foreground("once", once)


def _check(given: argparse.Namespace) -> int:
    def check(streams: Streams) -> tuple[int, str]:
        from .job.commands import check

        result = check.run(_source(given), streams.progress, reader=given.reader)
        return result.shown(streams, as_json=given.json)

    from .core import budgets

    return _in_the_foreground("check", check, budgets.CHECK_S)


def _status(given: argparse.Namespace) -> int:
    from .status import command

    status = command.run(given.url, given.ca, given.config, os.environ, live=given.live, as_json=given.json)
    if given.pause and status == EXIT_DONE:
        from .status import pause

        pause.after_start(given.pause)
    return status


def _config(given: argparse.Namespace) -> int:
    def config(_streams: Streams) -> tuple[int, str]:
        from .job.commands import config

        return (EXIT_DONE, config.schema()) if given.what == "schema" else config.show(_source(given))

    return _in_the_foreground("config", config)


def _iam_policy(given: argparse.Namespace) -> int:
    def iam_policy(_streams: Streams) -> tuple[int, str]:
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
    def cleanup(streams: Streams) -> tuple[int, str]:
        from .job.commands import cleanup

        result = cleanup.run(_source(given), streams.progress, dry_run=given.dry_run)
        return result.shown(streams, as_json=given.json)

    return _in_the_foreground("cleanup", cleanup)


def _demo(given: argparse.Namespace) -> int:
    from .standins import demo
    from .terminal import Progress

    return demo.run([sys.executable, "-P", "-m", "ecr_refresher"], given.duration, Progress(sys.stdout))


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


def _in_the_foreground(name: str, work: Work, limit_s: float | None = None) -> int:
    """Do the work in a child process, print its result, and return its exit status."""
    from .core import budgets
    from .job.commands import foreground

    return foreground.run(name, work, budgets.START_S if limit_s is None else limit_s)


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
