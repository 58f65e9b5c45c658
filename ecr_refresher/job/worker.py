"""The worker process: one job on standard input, report lines on standard output, then the end."""

import contextlib
import os
import threading

from .. import logs, memory
from ..boot_clock import boot_time
from ..core import budgets, wire
from ..core.exits import EXIT_DONE
from . import limits, orphans
from .aws.clock import AwsClock


def serve() -> int:
    """Do the job on standard input. Success is `done` on standard output; the exit status is for people."""
    limits.bound_memory()
    with open(0, "rb", closefd=False) as file:
        job = wire.load_job(file.read())
    lines, _ = limits.leave_terminal()
    report = _reporter(job.id, lines)
    if job.kind != "pass":  # what an engine sends must not end a pass
        from .net import engine

        memory.be_first_to_go()
        engine.ignore_users_logins()
    if job.kind == "listen":
        from .cleanup.usage import listener

        listener.serve(job, report, lines, limits.end_group)
    with contextlib.suppress(*orphans.UNABLE):
        orphans.adopt()
    limits.set_alarm(job.ends_at - boot_time() + budgets.ALARM_GRACE_S)  # no orphan outlives a killed supervisor
    status = EXIT_DONE
    if job.kind == "cleanup":
        _clean(job, report)
    else:
        from .refresh.run import execute

        status = execute(job, report)
    report(wire.Done())
    return status


def _clean(job: wire.Job, report: wire.Report) -> None:
    from .cleanup.run import clean

    if job.plan is None:
        raise ValueError("a cleanup needs a plan")
    logs.configure(job.plan.log.level, job.plan.log.format)
    clean(
        job.plan,
        job.valid_hosts,
        AwsClock(job.clock_offset),
        report,
        heard=job.heard,
        dry_run=job.dry_run,
        ends_at=job.ends_at - budgets.CLEANUP_GRACE_S,
    )


def _reporter(job_id: int, descriptor: int) -> wire.Report:
    """Write whole lines; end at once where nobody reads them any more."""
    lock = threading.Lock()

    def report(line: wire.Line) -> None:
        text = wire.dump_line(job_id, line)
        with lock:
            try:
                while text:
                    text = text[os.write(descriptor, text) :]
            except BrokenPipeError:
                limits.end_group()

    return report
