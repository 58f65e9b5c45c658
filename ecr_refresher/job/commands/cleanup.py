"""`cleanup`: looks which logins are valid now, cleans once, and says what went and what stays."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ...boot_clock import boot_time
from ...core import budgets, wire
from ...core.exits import EXIT_DONE, EXIT_FAILED, EXIT_USAGE
from ...core.plan import Cleanup
from ...core.times import rfc3339
from ...terminal import columns
from .. import limits
from ..aws.clock import AwsClock
from ..cleanup import wording
from ..cleanup.policy import Usage
from ..cleanup.report import CleanupReport, Gone, Stayed
from ..cleanup.run import clean
from ..refresh.run import execute
from .pass_report import PassReport

FATAL = ("engine", "disk", "state_file")  # a single thing that could not be removed is no failure


def run(load: wire.Load, *, dry_run: bool) -> tuple[int, str, dict[str, Any]]:
    """Clean, or say what would go; returns the exit status, the text for people and the document for machines."""
    looks = PassReport(dry_run=True)
    job = wire.Job(1, boot_time() + budgets.DEADLINE_MAX_S, load=load, dry_run=True)
    if execute(job, looks.take) != EXIT_DONE or looks.plan is None:
        return EXIT_USAGE, "", {"error": "the settings are wrong; see standard error"}
    limits.set_alarm(budgets.CLEANUP_S + budgets.CLEANUP_GRACE_S)
    clock = AwsClock(looks.offset)
    held = {slot_id: slot.until for slot_id, slot in looks.slots.items()}
    valid = looks.plan.valid_hosts(held, clock.now())
    record = clean(
        looks.plan,
        valid,
        clock,
        lambda _line: None,
        dry_run=dry_run,
        ends_at=boot_time() + budgets.CLEANUP_S,
        explains=dry_run,
    )
    failed = not record.ended or any(trouble.what in FATAL for trouble in record.troubles)
    status = EXIT_FAILED if failed else EXIT_DONE
    return status, text(record, looks.plan.cleanup, clock.now()), document(record, status)


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
            {
                "what": trouble.what,
                "name": trouble.name,
                "reason": str(trouble.failure.reason),
                "message": trouble.failure.message,
                "fix": trouble.failure.fix,
            }
            for trouble in record.troubles
        ],
        "before": asdict(record.before),
        "after": asdict(record.after),
        "unreclaimed_bytes": record.unreclaimed,
        "short": record.short,
    }


def text(record: CleanupReport, rules: Cleanup, now: float) -> str:
    """What went or would go, in order; what stays, and why; how full it was and is."""

    def used(at: float | None) -> str:
        return f"{rfc3339(at)} ({wording.duration(now - at)} ago)" if at else "-"

    def sized(one: Gone | Stayed) -> str:
        return wording.size(one.size) if one.size else "-"

    lines = []
    if record.gone:
        gone = [
            (str(place), one.what, one.name, used(one.last_used_at), sized(one), _freed(one), one.why)
            for place, one in enumerate(record.gone, 1)
        ]
        head = ("WOULD GO" if record.dry_run else "GONE", "WHAT", "NAME", "LAST USE", "SIZE", "FREES", "WHY")
        lines += [*columns([head, *gone]), ""]
    elif record.ended:
        lines += ["nothing would go" if record.dry_run else "nothing was removed", ""]
    if record.stayed:
        stayed = [(one.what, one.name, used(one.last_used_at), sized(one), _why(one)) for one in record.stayed]
        lines += [*columns([("KEPT", "NAME", "LAST USE", "SIZE", "WHY"), *stayed]), ""]
    lines += [_usage(record.before, record.after, rules)] if record.ended else []
    if record.unreclaimed:
        space = ", ".join(f"{kind} {wording.size(count)}" for kind, count in record.unreclaimed.items())
        lines.append(f"space that no rule covers: {space}")
    if record.short:
        lines.append("warning: the mark is still exceeded, and the rules keep everything that is left")
    lines += [
        f"{trouble.what}{f' {trouble.name}' if trouble.name else ''}: {trouble.failure.reason}: {trouble.failure}"
        for trouble in record.troubles
    ]
    return "\n".join(lines)


def _why(one: Stayed) -> str:
    return f"{one.why} ({one.word})" if one.word else one.why


def _freed(one: Gone) -> str:
    return wording.size(one.freed) if one.what != "container" else "-"


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
