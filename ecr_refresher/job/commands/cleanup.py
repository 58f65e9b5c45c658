"""`ecr-refresher cleanup`: looks which logins are good now, cleans once in the foreground, and says what was done."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ...boot_clock import boot_time
from ...core import wire
from ...core.exits import EXIT_DONE, EXIT_FAILED, EXIT_USAGE
from ...core.plan import Cleanup
from ...core.times import rfc3339
from ...core.validity import valid_hosts
from ...terminal import columns
from ..aws.clock import AwsClock
from ..cleanup import wording
from ..cleanup.account import Account, Gone, Stayed
from ..cleanup.janitor import clean
from ..cleanup.policy import Usage
from ..worker import execute
from .pass_report import Account as Looks

LOOK_LIMIT_S = 60.0
LIMIT_S = 3600.0  # by hand one waits
FATAL = ("engine", "disk", "state_file")  # a thing that could not be removed is told, and is no failure


def run(load: wire.Load, *, dry_run: bool) -> tuple[int, str, dict[str, Any]]:
    """Clean, or say what would go; gives the exit status, the text for people and the document for machines."""
    looks = Looks(dry_run=True)
    job = wire.Job(1, boot_time() + LOOK_LIMIT_S, load=load, dry_run=True)
    if execute(job, looks.take) != EXIT_DONE or looks.plan is None:
        return EXIT_USAGE, "", {"error": "the settings are wrong; see standard error"}
    clock = AwsClock(looks.offset)
    held = {slot_id: finding.until for slot_id, finding in looks.findings.items()}
    valid = valid_hosts(looks.plan, held, clock.now())
    account = clean(looks.plan, valid, clock, lambda _line: None, dry_run=dry_run, ends_at=boot_time() + LIMIT_S)
    failed = not account.ended or any(trouble.what in FATAL for trouble in account.troubles)
    status = EXIT_FAILED if failed else EXIT_DONE
    return status, text(account, looks.plan.cleanup, clock.now()), document(account, status)


def document(account: Account, status: int) -> dict[str, Any]:
    """All of it for machines; times are RFC 3339 in UTC, sizes are bytes."""

    def entry(one: Gone | Stayed) -> dict[str, Any]:
        return {**asdict(one), "last_used_at": rfc3339(one.last_used_at) if one.last_used_at else None}

    return {
        "status": status,
        "dry_run": account.dry_run,
        "removed": [entry(one) for one in account.gone],
        "kept": [entry(one) for one in account.stayed],
        "troubles": [
            {
                "what": trouble.what,
                "name": trouble.name,
                "reason": str(trouble.failure.reason),
                "message": trouble.failure.message,
            }
            for trouble in account.troubles
        ],
        "before": asdict(account.before),
        "after": asdict(account.after),
        "short": account.short,
    }


def text(account: Account, rules: Cleanup, now: float) -> str:
    """What went or would go, in order; what stays, and why; how full it was and is."""

    def used(at: float | None) -> str:
        return f"{rfc3339(at)} ({wording.duration(now - at)} ago)" if at else "-"

    def sized(one: Gone | Stayed) -> str:
        return wording.size(one.size) if one.size else "-"

    lines = []
    if account.gone:
        gone = [
            (str(place), one.what, one.name, used(one.last_used_at), sized(one), _freed(one), one.why)
            for place, one in enumerate(account.gone, 1)
        ]
        head = ("WOULD GO" if account.dry_run else "GONE", "WHAT", "NAME", "LAST USE", "SIZE", "FREES", "WHY")
        lines += [*columns([head, *gone]), ""]
    elif account.ended:
        lines += ["nothing would go" if account.dry_run else "nothing was removed", ""]
    if account.stayed:
        stayed = [(one.what, one.name, used(one.last_used_at), sized(one), one.why) for one in account.stayed]
        lines += [*columns([("KEPT", "NAME", "LAST USE", "SIZE", "WHY"), *stayed]), ""]
    lines += [_usage(account.before, account.after, rules)] if account.ended else []
    if account.short:
        lines.append("warning: the mark is still exceeded, and nothing more may go by the rules")
    lines += [
        f"{trouble.what}{f' {trouble.name}' if trouble.name else ''}: {trouble.failure.reason}: "
        f"{trouble.failure.message}"
        for trouble in account.troubles
    ]
    return "\n".join(lines)


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
