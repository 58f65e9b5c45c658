"""What `cleanup` prints: what went, what stays and why, what failed; nothing of it forges a line."""

from __future__ import annotations

import io

from ecr_refresher.core import wire
from ecr_refresher.core.model import Failure, Reason
from ecr_refresher.core.plan import Cleanup
from ecr_refresher.job.cleanup.policy import Usage
from ecr_refresher.job.cleanup.report import CleanupReport, Gone, Stayed
from ecr_refresher.job.commands import cleanup
from ecr_refresher.terminal import rendered

NOW, DAY = 1_800_000_000.0, 86400.0


def printed(*, dry_run: bool = False, **facts: object) -> list[str]:
    record = CleanupReport(lambda _: None, dry_run=dry_run, ended=True, **facts)  # type: ignore[arg-type]
    return rendered(cleanup.page(record, Cleanup(), NOW), io.StringIO()).split("\n")


def test_what_went_and_what_stays_are_two_tables_with_the_reasons() -> None:
    gone = [
        Gone("container", "c", "nightly", "ended 5d ago", NOW - 5 * DAY),
        Gone("image", "i", "web:1", "disk above 80 %", NOW - 9 * DAY, 1_980_000_000, 1_200_000_000),
    ]
    stayed = [Stayed("image", "j", "old:1", "not_pullable", NOW - 90 * DAY, 80_000_000, "404: manifest unknown")]
    full, less = Usage(870, 1000), Usage(790, 1000)
    assert printed(gone=gone, stayed=stayed, before=full, after=less, unreclaimed={"volumes": 5_000_000_000}) == [
        "REMOVED  WHAT       NAME     LAST USE                       SIZE    FREES  WHY",
        "1        container  nightly  2027-01-10T08:00:00Z (5d ago)  -       -      ended 5d ago",
        "2        image      web:1    2027-01-06T08:00:00Z (9d ago)  1.98GB  1.2GB  disk above 80 %",
        "",
        "KEPT   NAME   LAST USE                        SIZE  WHY",
        "image  old:1  2026-10-17T08:00:00Z (90d ago)  80MB  not_pullable (404: manifest unknown)",
        "",
        "disk: 87.0 % -> 79.0 %",
        "space that no rule covers: volumes 5GB",
    ]
    assert printed(gone=gone, dry_run=True)[0].startswith("WOULD REMOVE  WHAT ")


def test_nothing_to_do_is_said_and_troubles_come_last() -> None:
    refused = Failure(Reason.TRANSIENT, "the engine answered 409", "Nothing to do: the next cleanup tries again")
    lines = printed(troubles=[wire.Hindered("image", refused, "web:1")], short=True)
    assert lines[0] == "nothing was removed"
    assert lines[-2:] == [
        "warning: the mark is still exceeded, and the rules keep everything that is left",
        "image web:1: transient: the engine answered 409. Nothing to do: the next cleanup tries again",
    ]
    assert printed(dry_run=True)[0] == "nothing would be removed"


def test_nobody_s_names_move_the_cursor_or_forge_a_line() -> None:
    hostile = "x\x1b[2J\r\nREMOVED"
    lines = printed(
        gone=[Gone("image", "i", hostile, hostile)],
        stayed=[Stayed("image", "j", hostile, hostile, word=hostile)],
        troubles=[wire.Hindered("image", Failure(Reason.DENIED, hostile, hostile), hostile)],
    )
    assert "".join(lines).isprintable()
    assert len([line for line in lines if line.startswith("REMOVED")]) == 1
