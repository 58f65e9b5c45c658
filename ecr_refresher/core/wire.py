"""The protocol between supervisor and worker: one job in, report lines out, as JSON.

Lines are streamed as things happen, so that a killed worker loses nothing that is known.
"""

import re
from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec
from msgspec import field
from msgspec.structs import replace

from .model import Failure, Outcome, Record
from .plan import Plan

T = TypeVar("T")
LINE_MAX = 1 << 20  # bytes; a plan of 1,000 slots is 0.2 MB
TEXT_MAX = 2000  # characters of an error or its fix, so that a huge one does not break the limits of a report


class Load(Record, frozen=True):
    """Read the settings; the fields are what the command line said."""

    config: str | None = None
    log_level: str | None = None
    log_format: str | None = None


class Order(Record, frozen=True):
    """Look at one slot, and serve it if it needs a credential."""

    sink: str
    registry: str
    expected_until: float | None = None  # the expiry that was last written or found there
    due: bool = False  # the renewal of what is expected there is due


class Job(Record, frozen=True):
    """One pass, or one cleanup, or listening to the engine's events until killed."""

    id: int
    ends_at: float  # on the boot clock
    load: Load | None = None  # instead of a plan
    plan: Plan | None = None
    orders: tuple[Order, ...] | None = None  # None: every slot; with `load`, what is known of some of them
    lives: dict[str, float] = field(default_factory=dict)  # principal -> life of its newest token
    own_hosts: dict[str, str] = field(default_factory=dict)  # principal -> the caller's own registry, once known
    clock_offset: float | None = None  # AWS's time minus the boot clock, once measured
    force: bool = False
    dry_run: bool = False
    kind: Literal["pass", "cleanup", "listen"] = "pass"
    valid_hosts: tuple[str, ...] = ()  # for a cleanup: registries whose credential is valid now
    heard: bool = False  # for a cleanup: the listener has missed none of the engine's events


class _Line(Record, frozen=True, tag=str.lower):
    """One line of a report."""


class Planned(_Line, frozen=True):
    """The settings are good; this is the resolved plan."""

    plan: Plan
    witness: str | None = None  # of the settings file that was read
    own_hosts: dict[str, str] = field(default_factory=dict)


class Refused(_Line, frozen=True):
    """The settings are wrong; each error with its path."""

    errors: tuple[str, ...]


class Clock(_Line, frozen=True):
    """From AWS's `Date`: AWS's time minus the boot clock, and the wall clock minus AWS's time."""

    offset: float
    skew: float


class Looked(_Line, frozen=True):
    """What a slot holds, and whether it needs a credential."""

    sink: str
    registry: str
    until: float | None = None
    needed: bool = False
    why: str = ""
    life: float | None = None
    witness: str | None = None


class Fetched(_Line, frozen=True):
    """One fetch: the token's life, or why it failed."""

    principal: str
    duration_s: float
    issued_at: float | None = None
    expires_at: float | None = None
    failure: Failure | None = None


class Proved(_Line, frozen=True):
    """A token was tried: at the registry, by the engine, or with the probe image."""

    registry: str
    by: str
    failure: Failure | None = None


class Delivered(_Line, frozen=True):
    """The outcome of one slot."""

    sink: str
    registry: str
    outcome: Outcome
    duration_s: float = 0.0
    until: float | None = None  # what it holds now, where known
    life: float | None = None
    token: str | None = None  # names the credential within this daemon's life; says nothing of its content
    repaired: bool = False  # somebody had removed or changed what was written before
    witness: str | None = None
    failure: Failure | None = None
    attempted: bool = True  # False: the fetch for this slot failed, so there was nothing to deliver


class Listening(_Line, frozen=True):
    """The engine's events arrive from now on, until `Hindered` says otherwise."""


class Removed(_Line, frozen=True):
    """A cleanup has removed something, or would have."""

    what: str  # container, image, build_cache
    name: str
    freed: int = 0
    dry_run: bool = False


class Hindered(_Line, frozen=True):
    """A cleanup, or the listener, could not do something; it is tried again in the next."""

    what: str  # container, image, build_cache, engine, disk, state_file, events
    failure: Failure
    name: str | None = None


class Swept(_Line, frozen=True):
    """What a cleanup has left; sizes in bytes."""

    ended: bool  # it came to its end, even if single removals failed
    duration_s: float = 0.0
    disk_used: int | None = None
    disk_total: int | None = None
    image_bytes: int | None = None
    images: int = 0
    protected: dict[str, int] = field(default_factory=dict)  # why -> how many images
    unreclaimed: dict[str, int] = field(default_factory=dict)  # kind -> bytes that no rule covers, where measured
    short: bool = False  # a mark is still exceeded, and nothing more may go


class Done(_Line, frozen=True):
    """The job is done. Without this line it failed, whatever the exit status."""


Line = Planned | Refused | Clock | Looked | Fetched | Proved | Delivered | Listening | Removed | Hindered | Swept | Done
Report = Callable[[Line], None]


class _Report(Record, frozen=True):
    """A line with the id of its job."""

    job: int
    line: Line


_job_reader = msgspec.json.Decoder(Job)
_report_reader = msgspec.json.Decoder(_Report)


def dump_job(job: Job) -> bytes:
    return msgspec.json.encode(job)


def load_job(text: bytes) -> Job:
    """Read a job. Raises ValueError."""
    return _decoded(_job_reader, "job", text)


def dump_line(job_id: int, line: Line) -> bytes:
    """A report line; its errors are cut where they are too long, and have names of files that are not UTF-8 escaped."""
    if isinstance(line, Refused):
        line = Refused(tuple(map(_cut, line.errors)))
    elif isinstance(line, Fetched | Proved | Delivered | Hindered) and (why := line.failure) is not None:
        line = replace(line, failure=replace(why, message=_cut(why.message), fix=_cut(why.fix)))
    return msgspec.json.encode(_Report(job_id, line)) + b"\n"


def _cut(text: str) -> str:
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 1] + "…"


def load_line(text: bytes) -> tuple[int, Line]:
    """Read a report line: the job's id and the line. Raises ValueError."""
    report = _decoded(_report_reader, "report line", text)
    return report.job, report.line


def _decoded(reader: msgspec.json.Decoder[T], what: str, text: bytes) -> T:
    """Raises ValueError, which names the place and quotes nothing: some of msgspec's messages show the value."""
    try:
        return reader.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        place = re.search(r" - at `([$\w.\[\]…]*)`$", str(error))
        raise ValueError(f"not a {what}: {type(error).__name__}{f' at {place[1]}' if place else ''}") from None
