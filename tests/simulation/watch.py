"""Looks on, and calls out the first thing that breaks a rule: a slot starved, spoiled or misreported, or too much load.

It judges by what the world holds and by what was said to the daemon, with sums of its own: it asks neither the core
nor the daemon whether they are right. Letters are those of the list in `test_random_worlds`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from math import inf

from ecr_refresher.core import wire
from ecr_refresher.core.model import Outcome
from ecr_refresher.core.plan import Plan, Refresh, Slot
from ecr_refresher.daemon.machine import events
from ecr_refresher.daemon.machine.state import State
from ecr_refresher.daemon.web import view

from .host import Host, aws_time_error
from .pages import check_pages
from .worker import Worker
from .world import EPOCH, LIES, Entry, Part, SlotId, Token, World

TWELVE_HOURS = 43200.0
GRACE_S = 600.0  # a marker this much beyond a fresh token's end is still believed
REPAIR_WITHIN_S = 90.0
HEAL_S = 600.0
LOGINS_AN_HOUR = 12
REPAIR_EVERY_S = 60.0


@dataclass(slots=True, eq=False)
class Watched:
    """One slot, and since when it could be served."""

    slot: Slot
    parts: list[Part]
    hosts: list[Host]
    drift_s: float  # how long somebody else's doing may go unseen
    ok_since: float | None = 0.0
    windows: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=8))
    impaired_since: float | None = 0.0
    touched_at: float | None = None
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True, eq=False)
class Told:
    """What one daemon was told in its life, by the lines that reached it."""

    until: dict[SlotId, float] = field(default_factory=dict)
    wrote: dict[SlotId, float] = field(default_factory=dict)  # until when that lives
    fetches: dict[str, int] = field(default_factory=dict)
    written: dict[SlotId, int] = field(default_factory=dict)
    skipped: dict[SlotId, int] = field(default_factory=dict)
    repaired: dict[SlotId, int] = field(default_factory=dict)
    repaired_at: dict[SlotId, float] = field(default_factory=dict)
    measured_at: float = 0.0


class Watch:
    """One for each world."""

    def __init__(self, world: World, rules: Refresh) -> None:
        self.world, self.rules = world, rules
        self.broken: str | None = None
        self.slots: dict[SlotId, Watched] = {}
        self.hosts: dict[str, Host] = {}
        self.told: dict[str, Told] = {}
        self.shortest = world.lives  # the shortest life that ECR has granted, or lied about
        self.longest = max(world.lives, TWELVE_HOURS)
        self.tries = 40 + 1.5 * 3600 / ((rules.retry_first + rules.retry_max) / 2)  # in an hour in which all fail
        self._recent: dict[tuple[str, ...], deque[float]] = {}
        self.writes = 0
        self.fetches = 0
        self.asked_at: list[float] = []

    def enter(self, host: Host, plan: Plan) -> None:
        self.hosts[host.name] = host
        for slot in plan.slots:
            place = f"airflow/{slot.sink.split('/')[1]}" if slot.kind == "airflow" else f"file/{slot.target}"
            names = [f"ecr/{slot.principal}", f"registry/{slot.registry}", place, host.name, f"settings/{host.name}"]
            parts = [self.world.part(name) for name in names]
            drift_s = 1.1 * self.rules.verify_every + 60 if slot.kind == "airflow" else 150.0
            if slot.id not in self.slots:
                self.slots[slot.id] = Watched(slot, parts, [host], drift_s)
                self._look_in(self.slots[slot.id])
            else:
                self.slots[slot.id].parts += [self.world.part(host.name), self.world.part(f"settings/{host.name}")]
                self.slots[slot.id].hosts.append(host)

    def fail(self, what: str) -> None:
        if self.broken is None:
            self.broken = f"at {self.world.now:.1f} s: {what}"
        self.world.loop.stop()

    # --- reach -------------------------------------------------------------------------------------------------------
    def mood_changed(self, part: Part) -> None:
        now = self.world.now
        if part.reachable and part.sore_until > now:
            self.world.loop.call_at(part.sore_until + 1e-3, self.mood_changed, part)
        for watched in self.slots.values():
            if part in watched.parts:
                ok = all(other.reachable and other.sore_until <= now for other in watched.parts)
                if not ok:
                    self._interrupt(watched)
                    watched.ok_since = None
                elif watched.ok_since is None:
                    watched.ok_since = now

    def blip(self, host: Host) -> None:
        for watched in self.slots.values():
            if host in watched.hosts and watched.ok_since is not None:
                self._interrupt(watched)
                watched.ok_since = self.world.now

    def _interrupt(self, watched: Watched) -> None:
        if watched.ok_since is not None and self.world.now - watched.ok_since >= 60.0:
            watched.windows.append((watched.ok_since, self.world.now))

    def _served_within(self, watched: Watched, start: float, end: float, window_s: float) -> bool:
        open_ones = [(watched.ok_since, end)] if watched.ok_since is not None else []
        return any(min(end, e) - max(start, s) >= window_s for s, e in [*watched.windows, *open_ones])

    # --- (a), (b), (c): what the slots hold --------------------------------------------------------------------------
    def slot_changed(self, slot_id: SlotId, by: str, before: Entry, after: Entry) -> None:
        watched = self.slots[slot_id]
        now, aws_now = self.world.now, self.world.aws_now
        ours = by.startswith("host/")
        watched.touched_at = None if ours else now
        if ours:
            self.writes += 1
            if after.token is not None:
                self.shortest = min(self.shortest, after.token.life)
        if before.honest and after.token is not None and before.token is not None and (ours or by == "late writer"):
            slack = min(60.0, after.token.life / 50) + 1.0
            lost = before.token.expires_at - slack
            believable = before.token.expires_at <= aws_now + self.longest + GRACE_S
            if aws_now < lost > after.token.expires_at and believable:
                if ours and self.told[by].until.get(slot_id, 0.0) >= lost:
                    self.fail(f"(b) {by} puts something older into {slot_id}, and knew of the better one")
                self.world.loop.call_later(REPAIR_WITHIN_S, self._check_repaired, watched, lost, now)
        if self._usable(watched, after) and after.until is not None:
            watched.impaired_since = None
            self.world.loop.call_at(max(now, after.until - EPOCH), self._expired, watched, after)
            if after.token is not None and after.honest:
                latest = self._latest(watched, after.token)
                window = self._window(after.token.life)
                self.world.loop.call_at(max(now, latest) + window, self._overdue, watched, after, max(now, latest))
        elif watched.impaired_since is None:
            watched.impaired_since = now
            self._look_in(watched)

    def _usable(self, watched: Watched, entry: Entry) -> bool:
        if entry.until is None or entry.until <= self.world.aws_now:
            return False
        return watched.slot.kind == "docker" or entry.until <= self.world.aws_now + self.longest + GRACE_S

    def _latest(self, watched: Watched, token: Token) -> float:
        """The moment up to which a renewal may be drawn. A stranger's token may be taken for a fresh one."""
        share = self.rules.at_fraction + self.rules.jitter
        latest = token.issued_at + share * token.life - EPOCH
        if watched.touched_at is None:
            return latest
        seen_at = watched.touched_at + watched.drift_s
        return max(latest, seen_at + share * (token.expires_at - EPOCH - seen_at))

    def _window(self, life: float) -> float:
        """For how long a slot must be in reach: 10 minutes for tokens of 12 hours."""
        return min(HEAL_S, max(60.0, 0.15 * life))

    def _check_repaired(self, watched: Watched, lost: float, since: float) -> None:
        entry = self.world.entry(watched.slot)
        calm = all(part.mood == "ok" for part in watched.parts) and watched.ok_since is not None
        if not calm or (watched.ok_since or 0.0) > since or watched.touched_at not in (None, since):
            return
        if lost > self.world.aws_now and (entry.until is None or entry.until < lost):
            self.fail(f"(b) {watched.slot.id} holds something older since {since:.1f} s")

    def _expired(self, watched: Watched, entry: Entry) -> None:
        if self.world.entry(watched.slot) != entry or watched.impaired_since is not None:
            return
        now = self.world.now
        watched.impaired_since = now
        if entry.honest and entry.token is not None and not self._clock_lies(watched):
            window = self._window(entry.token.life)
            start = self._latest(watched, entry.token)
            if self._served_within(watched, start, now, window):
                self.fail(f"(a) {watched.slot.id} expired, though it could be served for {window:.0f} s")
        self._look_in(watched)

    def _overdue(self, watched: Watched, entry: Entry, since: float) -> None:
        if self.world.entry(watched.slot) != entry or self._clock_lies(watched):
            return
        if watched.touched_at is not None:
            since = max(since, watched.touched_at + watched.drift_s)
        if (
            watched.ok_since is not None
            and self.world.now - max(since, watched.ok_since)
            >= self._window(entry.token.life if entry.token else 0.0) - 1e-3
        ):
            self.fail(f"(6.1) {watched.slot.id} was not renewed, though due since {since:.1f} s and in reach")

    def _look_in(self, watched: Watched) -> None:
        if watched.timer is not None:
            watched.timer.cancel()
        watched.timer = self.world.loop.call_later(HEAL_S + 1, self._healed, watched)

    def _healed(self, watched: Watched) -> None:
        watched.timer = None
        if watched.impaired_since is None:
            return
        since = watched.impaired_since
        if watched.touched_at is not None:
            since = max(since, watched.touched_at + watched.drift_s)
        if watched.ok_since is not None and not self._clock_lies(watched):
            since = max(since, watched.ok_since)
            if self.world.now - since >= HEAL_S:
                self.fail(f"(c) {watched.slot.id} holds nothing good since {since:.1f} s, though it could be served")
                return
        self._look_in(watched)

    def _clock_lies(self, watched: Watched) -> bool:
        return any(host.clock_lies for host in watched.hosts)

    # --- (d): load ---------------------------------------------------------------------------------------------------
    def _count(self, *what: str) -> int:
        """Note one more; tells how many there were within the last hour."""
        recent = self._recent.setdefault(what, deque())
        recent.append(self.world.now)
        while recent[0] <= self.world.now - 3600.0:
            recent.popleft()
        return len(recent)

    def _asks(self, host: str) -> int:
        """How often within the hour somebody has asked for more, or had the daemon forget."""
        host_ = self.hosts[host]
        host_.asks = [at for at in host_.asks if at > self.world.now - 3600.0]
        return len(host_.asks)

    def login_refused(self, host: str, airflow: str) -> None:
        tries, allowed = self._count("login", host, airflow), LOGINS_AN_HOUR + self._asks(host)
        if tries > allowed:
            self.fail(f"(d) {host} tried a refused password at {airflow} {tries} times within an hour")

    def fetch_begun(self, worker: Worker, principal: str) -> None:
        self.fetches += 1
        host = worker.machine.name
        mine = [watched.slot for watched in self.slots.values() if watched.slot.principal == principal]
        renewals = 3600.0 / (0.4 * min(self.shortest, self.world.lives))
        allowed = len(mine) * (self.tries + 30 * renewals) + 4 * self._asks(host)
        if self._count("fetch", host, principal) > allowed:
            self.fail(f"(d) {host} fetched tokens of {principal} more than {allowed:.0f} times within an hour")
        if not worker.job.force and self.rules.max_age is None and not self.hosts[host].clock_lies:
            ids = {slot.id: slot for slot in mine}
            orders = worker.job.orders or tuple(wire.Order(*slot_id) for slot_id in ids)
            seen = [
                (order, worker.seen[order.sink, order.registry][0])
                for order in orders
                if (order.sink, order.registry) in ids and (order.sink, order.registry) in worker.seen
            ]
            if not any(self._needed(worker, principal, order, entry) for order, entry in seen):
                self.fail(f"(6.4) {host} fetches a token of {principal}, and no slot needs it: {seen}")

    def _needed(self, worker: Worker, principal: str, order: wire.Order, entry: Entry) -> bool:
        now = self.world.aws_now
        life = max(self.world.lives, worker.job.lives.get(principal, TWELVE_HOURS))
        if entry.until is None or entry.until <= now + 10:
            return True
        if entry.until > now + self.longest + GRACE_S - 10:
            return True
        left = entry.until - now
        alike = min(60.0, life / 50)  # two daemons that race fetch within a moment: theirs count as the same
        if order.expected_until is None or abs(order.expected_until - entry.until) > alike - 1:
            spoiled = order.expected_until is not None and entry.until < order.expected_until
            return spoiled or left <= (1 - self.rules.at_fraction) * life + 10
        return left <= (1 - self.rules.at_fraction + self.rules.jitter + 0.051) * life + 10

    # --- (e): what the daemon says -----------------------------------------------------------------------------------
    def born(self, host: Host) -> None:
        self.told[host.name] = Told()

    def stepped(self, host: Host, event: events.Event, before: State, actions: list[events.Action]) -> None:
        after, told = host.state, self.told[host.name]
        if isinstance(event, events.Reported):
            if before.running is None or before.running.job.id != event.job:
                if after is not before:
                    self.fail(f"(e) {host.name}: a line of another worker was believed: {event.lines}")
                return
            for line in event.lines:
                self._listened(host, told, line)
        for action in actions:
            if isinstance(action, events.Start):
                self._check_limit(host, told, action.job)
        if before.slots is not after.slots:
            self._check_pauses(host, before, after)
        if before.slots is not after.slots or host.walks:
            self._check_truth(host, told)

    def _listened(self, host: Host, told: Told, line: wire.Line) -> None:
        match line:
            case wire.Clock():
                told.measured_at = self.world.now
            case wire.Fetched():
                told.fetches[line.principal] = told.fetches.get(line.principal, 0) + 1
            case wire.Looked() | wire.Delivered():
                slot_id = (line.sink, line.registry)
                self._count_line(host, told, slot_id, line)
                if isinstance(line, wire.Looked) or line.outcome is not Outcome.FAILED:
                    self._note(host, told, slot_id, line)
                if isinstance(line, wire.Delivered) and line.outcome is Outcome.WRITTEN and line.until is not None:
                    told.wrote[slot_id] = line.until

    def _check_limit(self, host: Host, told: Told, job: wire.Job) -> None:
        """What a stranger or a file's owner says of a life shortens nobody's pass."""
        aws_now = host.state.aws_time(host.boot())
        shortest = min((until - aws_now for until in told.wrote.values() if until > aws_now), default=inf)
        allowed = min(self.rules.deadline, max(15.0, shortest / 4))
        if job.ends_at - host.boot() < allowed - 1e-3:
            self.fail(f"(d) {host.name} starts a pass that may take {job.ends_at - host.boot():.1f} s only")

    def _count_line(self, host: Host, told: Told, slot_id: SlotId, line: wire.Looked | wire.Delivered) -> None:
        renewals = 3600.0 / (0.4 * min(self.shortest, self.world.lives)) + 3600.0 / self.rules.verify_every
        if isinstance(line, wire.Looked):
            if self._count("look", host.name, *slot_id) > 20 + self.tries + 40 * renewals + 4 * self._asks(host.name):
                self.fail(f"(d) {host.name} looks at {slot_id} all the time")
            return
        told.written[slot_id] = told.written.get(slot_id, 0) + (
            line.attempted and line.outcome in (Outcome.WRITTEN, Outcome.FAILED)
        )
        told.skipped[slot_id] = told.skipped.get(slot_id, 0) + (line.outcome is Outcome.SKIPPED)
        told.repaired[slot_id] = told.repaired.get(slot_id, 0) + line.repaired
        if line.repaired:
            last = told.repaired_at.get(slot_id, float("-inf"))
            orders = host.worker.job.orders if host.worker else None
            due = any(order.due for order in orders or () if (order.sink, order.registry) == slot_id)
            if self.world.now - last < REPAIR_EVERY_S - 1 and not due and not self._asks(host.name):
                self.fail(f"(d) {host.name} repaired {slot_id} again after {self.world.now - last:.1f} s")
            told.repaired_at[slot_id] = self.world.now

    def _note(self, host: Host, told: Told, slot_id: SlotId, line: wire.Looked | wire.Delivered) -> None:
        if host.worker is None or slot_id not in host.worker.seen:
            self.fail(f"(e) {host.name} was told of {slot_id}, and nobody had looked: {line}")
            return
        entry = host.worker.seen[slot_id][0]
        until = entry.until
        if until is not None and isinstance(line, wire.Looked) and line.until is None:
            aws_now = host.state.aws_time(host.boot())
            lies = self.slots[slot_id].parts[2].mood == LIES
            until = None if lies or until > aws_now + self.longest + GRACE_S - 10 else until
        told.until[slot_id] = until or 0.0

    def _check_truth(self, host: Host, told: Told) -> None:
        now, known = host.boot(), host.state
        for slot_id, slot_state in known.slots.items():
            if (slot_state.held_until or 0.0) != told.until.get(slot_id, 0.0):
                truth = told.until.get(slot_id, 0.0)
                self.fail(f"(e) {host.name}: {slot_id} is said to hold until {slot_state.held_until}, not {truth}")
        aws_now = known.aws_time(now)
        good = known.loaded and not known.stopping
        if known.loaded:
            required = [slot for slot in known.plan.slots if slot.required]
            good = good and all(told.until.get(slot.id, 0.0) > aws_now for slot in required)
        if known.ready(now) != good:
            self.fail(f"(e) {host.name}: readyz says {not good}")
        if known.offset_measured:
            allowed = 12.0 + 1e-4 * (self.world.now - told.measured_at)
            if abs(aws_time_error(host)) > allowed:
                self.fail(f"(e) {host.name}: AWS's time is off by {aws_time_error(host):.1f} s")

    def look_at_pages(self, host: Host) -> None:
        """Ask for metrics and status at a moment when nothing happens."""
        if not host.up or host.frozen_until() > self.world.now:
            return
        self._check_truth(host, self.told[host.name])
        told = self.told[host.name]
        for wrong in check_pages(
            host.state, host.boot(), host.mono(), told.until, told.fetches, told.written, told.repaired
        ):
            self.fail(f"(e) {host.name}: {wrong}")
        if host.walks and not host.state.live(host.mono()):
            self.fail(f"(e) {host.name}: livez says no, and the loop turns")

    # --- retries -----------------------------------------------------------------------------------------------------
    def _check_pauses(self, host: Host, before: State, after: State) -> None:
        boot, rules = host.boot(), self.rules
        for slot_id, now_known in after.slots.items():
            was = before.slots.get(slot_id)
            if was is None or now_known.tries <= was.tries or now_known.retry_boot is None or now_known.failure is None:
                continue
            pause, left = now_known.retry_boot - boot, (now_known.held_until or 0.0) - after.aws_time(boot)
            if now_known.failure.login_refused:
                if not 299.0 <= pause <= 331.0:
                    self.fail(f"(6.2) {host.name}: {slot_id} is tried again {pause:.1f} s after a refused login")
                continue
            longest = max(rules.retry_max, 60.0)
            longest = max(1.0, min(longest, left / 4)) if left > 0 else longest
            principal = next(slot.principal for slot in after.plan.slots if slot.id == slot_id)
            waits = now_known.retry_boot >= (after.principals[principal].retry_boot or inf) - 1e-3  # since its fetch
            shortest = 1.0 if left > 0 else rules.retry_first
            if pause > longest + 1e-3 or (pause < shortest - 1e-3 and not waits):
                self.fail(f"(6.2) {host.name}: {slot_id} is tried again in {pause:.1f} s, with {left:.0f} s left")

    # --- (f): the end ------------------------------------------------------------------------------------------------
    def all_is_well(self) -> None:
        """The last fault is over for a good while: everything must be in order again."""
        if any(host.clock_lies for host in self.hosts.values()):
            return
        for watched in self.slots.values():
            entry = self.world.entry(watched.slot)
            if not self._usable(watched, entry):
                self.fail(f"(f) {watched.slot.id} holds nothing good")
            for host in watched.hosts:
                known = host.state.slots.get(watched.slot.id)
                if known is None or known.failure is not None or known.retry_boot is not None:
                    self.fail(f"(f) {host.name} still has trouble with {watched.slot.id}: {known}")
        for host in self.hosts.values():
            if not view.readyz(host.state, host.boot()).ok:
                self.fail(f"(f) {host.name} is not ready: {view.readyz(host.state, host.boot()).verbose()}")
