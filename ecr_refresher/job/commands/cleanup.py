"""`cleanup`: finds out which logins are valid now, cleans once, and lists what was removed and what stays."""

from dataclasses import asdict
from typing import Any

from ...boot_clock import boot_time
from ...core import budgets, wire
from ...core.exits import EXIT_DONE, EXIT_FAILED
from ...core.plan import Cleanup
from ...core.times import rfc3339
from ...terminal import BAD, WARNING, Block, Progress, Table
from .. import limits
from ..aws.clock import AwsClock
from ..cleanup import wording
from ..cleanup.policy import Usage
from ..cleanup.report import CleanupReport, Gone, Stayed
from ..cleanup.run import clean
from ..refresh.run import execute
from .foreground import SETTINGS_REFUSED, Result
from .once import PassReport

FATAL = ("engine", "disk", "state_file")  # a single thing that could not be removed is no failure


def run(load: wire.Load, progress: Progress, *, dry_run: bool) -> Result:
    """Clean, or list what would be removed."""
    progress.show("looking which logins are valid")
    looks = PassReport(dry_run=True)
    job = wire.Job(1, boot_time() + budgets.DEADLINE_MAX_S, load=load, dry_run=True)
    if execute(job, looks.take) != EXIT_DONE or looks.plan is None:
        return SETTINGS_REFUSED
    limits.set_alarm(budgets.CLEANUP_S + budgets.CLEANUP_GRACE_S)
    clock = AwsClock(looks.offset)
    held = {slot_id: slot.until for slot_id, slot in looks.slots.items()}
    valid = looks.plan.valid_hosts(held, clock.now())
    removed = 0

    def take(line: wire.Line) -> None:
        nonlocal removed
        if isinstance(line, wire.Removed):
            removed += 1
            done = "would remove" if line.dry_run else "removed"
            progress.show(f"{done} {removed} so far, last the {line.what} {line.name}")

    progress.show("asking the engine for containers and images")
    ends_at = boot_time() + budgets.CLEANUP_S
    record = clean(looks.plan, valid, clock, take, dry_run=dry_run, ends_at=ends_at, explains=dry_run)
    failed = not record.ended or any(trouble.what in FATAL for trouble in record.troubles)
    status = EXIT_FAILED if failed else EXIT_DONE
    return Result(status, page(record, looks.plan.cleanup, clock.now()), document(record, status))


def document(record: CleanupReport, status: int) -> dict[str, Any]:
    """All of it for machines; times are RFC 3339 in UTC, sizes are bytes."""

    def entry(one: Gone | Stayed) -> dict[str, Any]:
        return {**asdict(one), "last_used_at": rfc3339(one.last_used_at) if one.last_used_at else None}

    return {
        "status": status,
        "dry_run": record.dry_run,
        "removed": [entry(one) for one in record.gone],
        "kept": [entry(one) for one in record.stayed],
        "troubles": [
            {"what": one.what, "name": one.name}
            | {key: getattr(one.failure, key) for key in ("reason", "message", "fix")}
            for one in record.troubles
        ],
        "before": asdict(record.before),
        "after": asdict(record.after),
        "unreclaimed_bytes": record.unreclaimed,
        "short": record.short,
    }


def page(record: CleanupReport, rules: Cleanup, now: float) -> list[Block]:
    """What was or would be removed, in order; what stays, and why; how full the disk was and is."""

    def used(at: float | None) -> str:
        return f"{rfc3339(at)} ({wording.duration(now - at)} ago)" if at else "-"

    def sized(one: Gone | Stayed) -> str:
        return wording.size(one.size) if one.size else "-"

    def why(one: Stayed) -> str:
        return f"{one.why} ({one.word})" if one.word else one.why

    def freed(one: Gone) -> str:
        return wording.size(one.freed) if one.what != "container" else "-"

    blocks: list[Block] = []
    if record.gone:
        gone = [
            (str(place), one.what, one.name, used(one.last_used_at), sized(one), freed(one), one.why)
            for place, one in enumerate(record.gone, 1)
        ]
        head = ("WOULD REMOVE" if record.dry_run else "REMOVED", "WHAT", "NAME", "LAST USE", "SIZE", "FREES", "WHY")
        blocks += [Table(gone, head), ""]
    elif record.ended:
        blocks += ["nothing would be removed" if record.dry_run else "nothing was removed", ""]
    if record.stayed:
        stayed = [(one.what, one.name, used(one.last_used_at), sized(one), why(one)) for one in record.stayed]
        blocks += [Table(stayed, ("KEPT", "NAME", "LAST USE", "SIZE", "WHY")), ""]
    blocks += [_usage(record.before, record.after, rules)] if record.ended else []
    if record.unreclaimed:
        space = ", ".join(f"{kind} {wording.size(count)}" for kind, count in record.unreclaimed.items())
        blocks.append(f"space that no rule covers: {space}")
    if record.short:
        blocks.append(
            [("warning", WARNING), ": the mark is still exceeded, and the rules keep everything that is left"]
        )
    for trouble in record.troubles:
        what = f"{trouble.what}{f' {trouble.name}' if trouble.name else ''}"
        blocks.append([f"{what}: ", (str(trouble.failure.reason), BAD), f": {trouble.failure}"])
    return blocks


def _usage(before: Usage, after: Usage, rules: Cleanup) -> str:
    parts = []
    if before.disk_share is not None and after.disk_share is not None:
        mark = rules.images.when_disk_above
        marks = "" if mark is None else f" (cleaned above {mark:.0%}, until below {rules.images.until_below:.0%})"
        parts.append(f"disk: {wording.share(before.disk_share)} -> {wording.share(after.disk_share)}{marks}")
    if before.image_bytes is not None and after.image_bytes is not None:
        most = rules.images.max_size
        marks = "" if most is None else f" (at most {wording.size(most)})"
        parts.append(f"images: {wording.size(before.image_bytes)} -> {wording.size(after.image_bytes)}{marks}")
    return "; ".join(parts)
