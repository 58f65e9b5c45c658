"""What the daemon knows. Pure.

Two clocks: `now` and all names that end in `_boot` are seconds on the boot clock, which counts suspends and which
nobody can step; `until` and all names that end in `_at` are AWS's time. `State.offset` is the difference.
Liveness alone is measured on the monotonic clock (`mono`): a suspended machine's loop does not hang.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Self, TypeVar

from ...core import wire
from ...core.model import Failure, Outcome, Reason
from ...core.plan import Cleanup, Plan, Slot
from .events import Action

SlotId = tuple[str, str]
Key = TypeVar("Key")

TURN_MAX_S = 60.0  # the longest wait of the loop: each turn looks at the stat of the watched files
TOGETHER_S = 2.0  # slots that are due within this time share a pass
RECHECK_S = 60.0  # after a write, look once more: a slower daemon may have written over it
REPAIR_EVERY_S = 60.0  # at most one repair of a slot in this time: two programs must not fight over a file
STARTUP_GRACE_S = 60.0
NO_PLAN = Plan(())  # until the settings have been read
STOP_S = 5.0  # how long a stop waits for a worker that can't be killed
HEAR_WITHIN_S = 30.0  # a cleanup waits this long for the listener, then uses what events the engine has kept


def counted(counts: Mapping[Key, int], key: Key) -> Mapping[Key, int]:
    """The counts with one more of this."""
    return {**counts, key: counts.get(key, 0) + 1}


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts since the daemon's start, of one slot or principal."""

    attempts: int = 0
    failures: Mapping[Reason, int] = field(default_factory=dict)
    skipped: int = 0
    repaired: int = 0
    distinct: int = 0
    seconds: float = 0.0

    def tried(self, seconds: float, failure: Failure | None = None) -> Self:
        failures = self.failures if failure is None else counted(self.failures, failure.reason)
        return replace(self, attempts=self.attempts + 1, seconds=self.seconds + seconds, failures=failures)


@dataclass(frozen=True, slots=True)
class SlotState:
    """What is known of one slot."""

    held_until: float | None = None  # None: not looked at yet; 0: it holds nothing usable
    expected_until: float | None = None  # the expiry that was last written or found good
    own_until: float | None = None  # the expiry of what this daemon last wrote there
    life: float | None = None
    outcome: Outcome | None = None
    delivered_at: float | None = None
    token: str | None = None
    tries: int = 0  # failures in a row
    failure: Failure | None = None
    failed_at: float | None = None
    retry_boot: float | None = None
    look_boot: float = 0.0
    repaired_boot: float = -inf
    tally: Tally = Tally()

    @property
    def sure_until(self) -> float | None:
        """The expiry of what it holds, where this daemon wrote that.

        Only this counts for other slots' passes: what a look finds, somebody else may have written.
        """
        return self.own_until if self.own_until == self.held_until else None


@dataclass(frozen=True, slots=True)
class PrincipalState:
    """What is known of one principal: its newest token's life, and its last fetch."""

    issued_at: float | None = None
    expires_at: float | None = None
    last_success_at: float | None = None
    tries: int = 0
    failure: Failure | None = None
    failed_at: float | None = None
    retry_boot: float | None = None
    tally: Tally = Tally()

    @property
    def life(self) -> float | None:
        return None if self.expires_at is None or self.issued_at is None else self.expires_at - self.issued_at


@dataclass(frozen=True, slots=True)
class Pass:
    """The running pass."""

    job: wire.Job
    open: set[SlotId]  # slots without an outcome yet
    began_boot: float
    loads: bool = False  # it reads the settings because that was due, and they have not come yet
    refused: bool = False  # the settings are wrong, so no slot is touched
    killed: bool = False
    done: bool = False


@dataclass(frozen=True, slots=True)
class Child:
    """A running listener or cleanup."""

    job: wire.Job
    rules: Cleanup
    offset: float = 0.0  # AWS's time minus the boot clock, as known when it started
    killed: bool = False
    done: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """What one cleanup did."""

    at: float | None = None  # when it ended, on AWS's clock
    removed: Mapping[str, int] = field(default_factory=dict)  # what -> how many; in a dry run, what would go
    freed: int = 0
    failures: int = 0
    swept: wire.Swept | None = None


@dataclass(frozen=True, slots=True)
class Cleaning:
    """The cleanup: its two children, what they did, and when they are due; counts are since the daemon's start."""

    listener: Child | None = None
    hears: bool = False
    listen_boot: float = 0.0
    listen_tries: int = 0
    listening_since_boot: float = 0.0
    sweep: Child | None = None
    sweep_boot: float = 0.0
    current: Run = field(default_factory=Run)
    last: Run = field(default_factory=Run)
    last_success_at: float | None = None
    failure: Failure | None = None
    failed_at: float | None = None
    removed: Mapping[str, int] = field(default_factory=dict)
    freed: int = 0
    failures: Mapping[tuple[str, Reason], int] = field(default_factory=dict)

    def owns(self, job: int) -> bool:
        """Whether the job is one of the cleanup's children."""
        return any(child is not None and child.job.id == job for child in (self.listener, self.sweep))

    @property
    def sweep_due_boot(self) -> float:
        """When the next cleanup starts; it waits a little for the listener."""
        heard = self.hears or self.listener is None
        return self.sweep_boot if heard else max(self.sweep_boot, self.listening_since_boot + HEAR_WITHIN_S)

    def next_boot(self, rules: Cleanup | None) -> float:
        """The next deadline, on the boot clock."""
        moments = [] if self.sweep is None or self.sweep.killed else [self.sweep.job.ends_at]
        if rules is not None and rules.enabled:
            moments += [self.listen_boot] if self.listener is None else []
            moments += [self.sweep_due_boot] if self.sweep is None else []
        return min(moments, default=inf)


@dataclass(frozen=True, slots=True)
class State:
    """Everything. `seed` makes this daemon's draws its own: each draw is a function of the seed and its purpose.

    A step never changes the state that it was given. It changes the maps of a `copy`, and hands that out.
    """

    seed: int
    started_boot: float
    load: wire.Load = field(default_factory=wire.Load)
    load_boot: float = inf  # read the settings then: at the start, after SIGHUP, a changed file, or a worker's death
    load_tries: int = 0  # times in a row that a worker died over it
    offset: float = 0.0
    offset_measured: bool = False
    skew: float | None = None
    plan: Plan = NO_PLAN
    slots: dict[SlotId, SlotState] = field(default_factory=dict)
    principals: dict[str, PrincipalState] = field(default_factory=dict)
    held_back: dict[str, float] = field(default_factory=dict)  # group -> boot time; a login there was refused
    proof_failures: Mapping[tuple[str, str], int] = field(default_factory=dict)  # (registry, by) -> how often
    own_hosts: dict[str, str] = field(default_factory=dict)  # principal -> the caller's own registry
    files: dict[str, str] = field(default_factory=dict)  # path -> witness, as last seen or written by a worker of ours
    running: Pass | None = None
    jobs: int = 0
    passes: int = 0  # passes that ended, in whichever way
    force: bool = False
    stop_by_boot: float | None = None  # a stop is asked for; it waits until then for a worker that can't be killed
    turned_boot: float = 0.0
    turned_mono: float = 0.0
    reloads_ok: int = 0
    reloads_failed: int = 0
    last_reload_ok: bool = True
    was_ready: bool | None = None
    cleaning: Cleaning = field(default_factory=Cleaning)
    outbox: tuple[Action, ...] = ()  # what the step asks for so far; empty between two steps

    def then(self, *actions: Action) -> Self:
        return replace(self, outbox=(*self.outbox, *actions))

    def aws_time(self, boot: float) -> float:
        return boot + self.offset

    @property
    def stopping(self) -> bool:
        return self.stop_by_boot is not None

    @property
    def reloading(self) -> bool:
        """A reload is asked for or under way. After a worker died over it, it is over: the old plan is in force."""
        under_way = self.running is not None and self.running.loads
        return self.loaded and not self.load_tries and (under_way or self.load_boot < inf)

    @property
    def loaded(self) -> bool:
        return self.plan is not NO_PLAN

    def holds(self, slot: Slot, now: float) -> bool:
        """Whether the slot holds an unexpired credential, as far as known."""
        until = self.slots[slot.id].held_until
        return until is not None and until > self.aws_time(now)

    def ready(self, now: float) -> bool:
        """Whether every required slot holds an unexpired credential; false while stopping."""
        if not self.loaded or self.stopping:
            return False
        return all(self.holds(slot, now) for slot in self.plan.slots if slot.required)

    def live(self, mono: float) -> bool:
        """Whether the loop turns. Nothing outside the process can make this false."""
        return mono - self.turned_mono <= 2 * TURN_MAX_S

    def started(self, now: float) -> bool:
        """Whether other containers may start: required files are served, a pass has ended, or a minute has passed."""
        if now - self.started_boot >= STARTUP_GRACE_S or self.passes > 0:
            return True
        files = [slot for slot in self.plan.slots if slot.kind == "docker" and slot.required]
        return bool(files) and all(self.holds(slot, now) for slot in files)

    def copy(self) -> Self:
        """The same state with maps of its own."""
        return replace(
            self,
            slots=self.slots.copy(),
            principals=self.principals.copy(),
            held_back=self.held_back.copy(),
            files=self.files.copy(),
            running=self.running and replace(self.running, open=self.running.open.copy()),
        )
