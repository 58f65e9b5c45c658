"""What one cleanup did, or would do: what it removed, what stays and why, what failed. It reports as things happen."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import requests
from docker.errors import APIError, NotFound

from ... import logs
from ...core import wire
from ...core.model import Failure, Reason
from .policy import Container, Image, Kept, Usage

TIMEOUT_S = 60  # for one answer of the engine: the removal of a big image takes its time
CONFLICT = 409
LATER = "later"  # this cleanup's time is used up
RETRIED = "Nothing to do: the next cleanup tries again"
What = Literal["container", "image", "build_cache", "engine", "disk", "state_file", "events"]


class UsedAgain(Exception):
    """An image that was chosen for removal has come into use."""


@dataclass(frozen=True, slots=True)
class _Judged:
    what: What
    id: str
    name: str
    why: str
    last_used_at: float | None = None  # of a container: when it ended
    size: int = 0


@dataclass(frozen=True, slots=True)
class Gone(_Judged):
    """One thing that was removed, or would be."""

    freed: int = 0  # no more than `size`: layers may be shared


@dataclass(frozen=True, slots=True)
class Stayed(_Judged):
    """One thing that stays, and why."""

    word: str | None = None  # the registry's answer, if that is the reason


@dataclass(slots=True)
class CleanupReport:
    """Filled as things happen; each goes to the report lines and the log at once."""

    report: wire.Report
    dry_run: bool = False
    gone: list[Gone] = field(default_factory=list)
    stayed: list[Stayed] = field(default_factory=list)
    troubles: list[wire.Hindered] = field(default_factory=list)
    before: Usage = field(default_factory=Usage)
    after: Usage = field(default_factory=Usage)
    unreclaimed: dict[str, int] = field(default_factory=dict)  # kind -> bytes that no rule covers
    images: int = 0
    short: bool = False  # a mark is still exceeded, and nothing more may be removed
    ended: bool = False

    def remove(self, going: Gone, act: Callable[[], object]) -> bool:
        """Remove one thing, in a dry run only report it; False if the engine refuses: the next cleanup tries again."""
        try:
            if not self.dry_run:
                act()
        except NotFound:
            return True  # somebody else has removed it
        except UsedAgain:
            kept = Stayed(going.what, going.id, going.name, str(Kept.IN_USE), going.last_used_at, going.size)
            self.stayed.append(kept)
            return False
        except requests.Timeout:
            late = f"the engine did not remove it within {TIMEOUT_S} s"
            self.trouble(going.what, Failure(Reason.TRANSIENT, late, RETRIED), going.name)
            return False
        except APIError as error:
            self.trouble(going.what, refusal(error), going.name)
            return False
        self.went(going)
        return True

    def went(self, gone: Gone) -> None:
        """Enter one thing that was or would be removed."""
        self.gone.append(gone)
        self.report(wire.Removed(gone.what, gone.name, gone.freed, dry_run=self.dry_run))
        event = f"{gone.what}_would_be_removed" if self.dry_run else f"{gone.what}_removed"
        logs.get().info(event, name=gone.name, id=gone.id[:19], why=gone.why, freed_bytes=gone.freed or None)

    def stays(self, why: str, *things: Container | Image, word: str | None = None) -> None:
        """Enter things that stay for the same reason."""
        for one in things:
            if isinstance(one, Container):
                self.stayed.append(Stayed("container", one.id, one.name, str(why), one.ended_at))
            else:
                self.stayed.append(Stayed("image", one.id, one.name, str(why), one.last_used_at, one.size, word))

    def trouble(self, what: What, failure: Failure, name: str | None = None) -> None:
        """Enter something that failed."""
        hindered = wire.Hindered(what, failure, name)
        self.troubles.append(hindered)
        self.report(hindered)
        logs.get().warning("cleanup_hindered", what=what, name=name, **failure.fields)

    def sum_up(self, duration_s: float) -> None:
        """Report what is left."""
        if self.short:
            logs.get().warning(
                "cleanup_short",
                error="the mark is still exceeded, and the rules keep everything that is left",
                fix="See `ecr-refresher cleanup --dry-run` for what stays and why, and where the space is",
                **{f"{kind}_bytes": count for kind, count in self.unreclaimed.items()},
            )
        self.report(
            wire.Swept(
                ended=self.ended,
                duration_s=round(duration_s, 3),
                disk_used=self.after.disk_used,
                disk_total=self.after.disk_total,
                image_bytes=self.after.image_bytes,
                images=self.images - sum(gone.what == "image" for gone in self.gone if not self.dry_run),
                protected=dict.fromkeys(map(str, Kept), 0)
                | Counter(stayed.why for stayed in self.stayed if stayed.what == "image"),
                unreclaimed=self.unreclaimed,
                short=self.short,
            )
        )


def refusal(error: Any, what: str = "remove it") -> Failure:
    """The failure for an error of the engine. A conflict is normal: something came into use, or is being removed."""
    did = "refuses to remove it now" if error.status_code == CONFLICT else f"failed to {what} ({error.status_code})"
    return Failure(Reason.TRANSIENT, f"the engine {did}: {str(error.explanation or '')[:300]}", RETRIED)
