"""`once`: one pass in the foreground, for init containers, cron and Jobs."""

from __future__ import annotations

from ... import logs
from ...boot_clock import boot_time
from ...core import budgets, wire
from ...core.exits import EXIT_DONE
from ...terminal import Progress
from ..aws.clock import AwsClock
from ..refresh.run import execute
from . import once_table
from .foreground import SETTINGS_REFUSED, Result
from .pass_report import PassReport


def run(load: wire.Load, progress: Progress, *, force: bool, dry_run: bool, strict: bool) -> Result:
    """Do the pass."""
    report = PassReport(dry_run)

    def take(line: wire.Line) -> None:
        report.take(line)
        progress.show(report.progress())

    job = wire.Job(1, boot_time() + budgets.DEADLINE_MAX_S, load=load, force=force, dry_run=dry_run)
    with logs.lines_above(progress.clear):
        progress.show(report.progress())
        if execute(job, take) != EXIT_DONE:
            return SETTINGS_REFUSED
    now = AwsClock(report.offset).now()
    status, warnings = report.verdict(now, strict=strict)
    return Result(status, once_table.page(report, warnings, now), once_table.document(report, status, warnings))
