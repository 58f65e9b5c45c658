"""One pass in the foreground, for init containers, cron and Jobs; tells how far it has come, and what was done."""

from __future__ import annotations

import json
from typing import Any

from ... import logs
from ...boot_clock import boot_time
from ...core import wire
from ...core.exits import EXIT_DONE, EXIT_USAGE
from ...terminal import Paint, Progress
from ..aws.clock import AwsClock
from ..worker import execute
from . import once_table as once_report
from .pass_report import Account

LIMIT_S = 60.0


def run(
    load: wire.Load, paint: Paint, progress: Progress, *, force: bool, dry_run: bool, strict: bool
) -> tuple[int, str, dict[str, Any]]:
    """Do the pass; gives the exit status, the table for people and the document for machines."""
    account = Account(force, dry_run)

    def take(line: wire.Line) -> None:
        account.take(line)
        progress.show(account.progress())

    job = wire.Job(1, boot_time() + LIMIT_S, load=load, force=force, dry_run=dry_run)
    with logs.lines_above(progress.clear):
        progress.show(account.progress())
        if execute(job, take) != EXIT_DONE:
            return EXIT_USAGE, "", {"error": "the settings are wrong; see standard error"}
    now = AwsClock(account.offset).now()
    status, warnings = account.verdict(now, strict=strict)
    table = once_report.table(account, warnings, now, paint)
    return status, table, once_report.document(account, status, warnings)


def dump(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2)
