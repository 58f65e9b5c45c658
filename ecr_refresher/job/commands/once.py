"""`once`: one pass in the foreground, for init containers, cron and Jobs."""

from __future__ import annotations

import json
from typing import Any

from ... import logs
from ...boot_clock import boot_time
from ...core import budgets, wire
from ...core.exits import EXIT_DONE, EXIT_USAGE
from ...terminal import Paint, Progress
from ..aws.clock import AwsClock
from ..refresh.run import execute
from . import once_table
from .pass_report import PassReport


def run(
    load: wire.Load, paint: Paint, progress: Progress, *, force: bool, dry_run: bool, strict: bool
) -> tuple[int, str, dict[str, Any]]:
    """Do the pass; returns the exit status, the table for people and the document for machines."""
    report = PassReport(dry_run)

    def take(line: wire.Line) -> None:
        report.take(line)
        progress.show(report.progress())

    job = wire.Job(1, boot_time() + budgets.DEADLINE_MAX_S, load=load, force=force, dry_run=dry_run)
    with logs.lines_above(progress.clear):
        progress.show(report.progress())
        if execute(job, take) != EXIT_DONE:
            return EXIT_USAGE, "", {"error": "the settings are wrong; see standard error"}
    now = AwsClock(report.offset).now()
    status, warnings = report.verdict(now, strict=strict)
    return status, once_table.table(report, warnings, now, paint), once_table.document(report, status, warnings)


def dump(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2)
