"""The roof: what each command runs, and nothing else. A command loads only the parts that it needs."""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from .core.exits import EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from .core import wire
    from .job.commands.foreground import Result
    from .terminal import Progress

WORKER = "worker"  # started by the supervisor, not by people
# -P: modules are not imported from the directory that the daemon happens to be started in.
_PROGRAM = [sys.executable, "-P", "-m", "ecr_refresher"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 something failed, 2 wrong settings or command line."""
    words = list(sys.argv[1:] if argv is None else argv)
    _dump_no_core()
    _fill_what_is_closed()
    if words == [WORKER]:
        _worker()
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
    if given.command in _COMMANDS:
        return _COMMANDS[given.command](given)
    from .core import budgets
    from .job.commands import foreground

    limit_s = budgets.CHECK_S if given.command == "check" else budgets.START_S
    name, as_json = given.command.replace("-", "_"), getattr(given, "json", False)
    return foreground.run(name, lambda progress: _work(given, progress), limit_s, as_json=as_json)


def _source(given: argparse.Namespace) -> wire.Load:
    """Where the settings come from."""
    from .core import wire

    return wire.Load(given.config, given.log_level, given.log_format)


def _worker() -> NoReturn:
    from . import logs
    from .job import limits, orphans, worker

    logs.silence_libraries()
    sys.stdout = sys.stderr = logs.Printed()  # its answers go to the descriptor, not through these
    status = limits.bare_of_values("worker", worker.serve)
    orphans.end_all()
    limits.hear_out()
    os._exit(status)  # at once: a thread that waits for a hung server must not delay the end


def _run(given: argparse.Namespace) -> int:
    # Signals wait until the daemon handles them: as process 1 it would never get those that come before, and as
    # another process it would die of them.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1))
    from .daemon import supervisor

    return supervisor.run(_source(given), [*_PROGRAM, WORKER], os.environ)


def _status(given: argparse.Namespace) -> int:
    from .status import command

    status = command.run(given.url, given.ca, given.config, os.environ, live=given.live, as_json=given.json)
    if given.pause and status == EXIT_DONE:
        from .status import pause

        pause.after_start(given.pause)
    return status


def _demo(given: argparse.Namespace) -> int:
    from .standins import demo
    from .terminal import Progress

    progress = Progress(sys.stdout)
    return demo.run(_PROGRAM, given.duration, progress.say, progress.show)


_COMMANDS = {"run": _run, "status": _status, "demo": _demo}


def _work(given: argparse.Namespace, progress: Progress) -> Result:
    """Do what a command does in its child process."""
    source = _source(given)
    match given.command:
        case "once":
            from .job.commands import once

            return once.run(source, progress, force=given.force, dry_run=given.dry_run, strict=given.strict)
        case "check":
            from .job.commands import check

            return check.run(source, progress, reader=given.reader)
        case "cleanup":
            from .job.commands import cleanup

            return cleanup.run(source, progress, dry_run=given.dry_run)
        case "config":
            from .job.commands import documents

            return documents.schema() if given.what == "schema" else documents.show(source)
    from .job.aws.iam_policy import Wanted
    from .job.commands import documents

    wanted = Wanted(
        given.purpose,
        public=given.public,
        pull_through_cache=given.pull_through_cache,
        create_repository=given.create_repository,
    )
    return documents.policy(source, wanted, given.repository, given.assume_role)


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
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    most = 1 if hard == resource.RLIM_INFINITY else min(hard, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
