"""One cleanup: look, have the policy judge, remove one by one; or say what would go.

Images are never pruned: that takes the leases of pulls under way (moby/moby#53321). Nothing is forced: the engine
itself refuses to remove what came into use a moment ago. Named volumes are never touched.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ... import logs
from ...core import wire
from ...core.model import Failed, Failure, Reason
from ...core.plan import Cleanup, Plan
from ..aws.clock import AwsClock
from ..net import engine, proof
from ..refresh.tools import RealTools
from . import containers, images, listing, wording
from .policy import Registries, Usage
from .remembered import Remembered
from .report import RETRIED, TIMEOUT_S, CleanupReport, Gone
from .returns import Login, Returns
from .space import disk, unreclaimed
from .space.disk import Disk
from .usage.hearing import Hearing
from .usage.last_use import History, merged
from .usage.state_file import SAVE_WITHIN_S, StateFile
from .work import Work

if TYPE_CHECKING:
    from docker import APIClient

Report = Callable[[wire.Line], None]


def clean(
    plan: Plan,
    valid: tuple[str, ...],
    clock: AwsClock,
    report: Report,
    *,
    dry_run: bool,
    ends_at: float,
    heard: bool = False,
    explains: bool = False,
    login: Login | None = None,
) -> CleanupReport:
    """One cleanup by the plan's rules.

    `valid` are the registries of which a credential is valid now; `login` gives the one by which a registry is asked
    whether it can give an image back. By default that is a token of the registry's principal, fetched only if an image
    is about to go: reading the login back out of a user's file would put it into one more process.
    """
    by_host = {registry.host: registry for registry in plan.registries if registry.host}
    return Run(
        rules=plan.cleanup,
        registries=Registries(frozenset(by_host), frozenset(valid)),
        returns=Returns(by_host, login or RealTools(plan, clock, report).fetch, proof.manifest_status, clock.now),
        clock=clock,
        record=CleanupReport(report, dry_run or plan.cleanup.dry_run),
        ends_at=ends_at,
        heard=heard,
        explains=explains,
    ).run()


@dataclass(frozen=True, slots=True)
class Run:
    """One cleanup of one engine. `heard` tells that a listener has heard the engine all along."""

    rules: Cleanup
    registries: Registries
    returns: Returns
    clock: AwsClock
    record: CleanupReport
    ends_at: float  # on the boot clock; nothing new is begun after it
    heard: bool = False
    explains: bool = False  # say where the space is that no rule covers, even if nothing is short

    def run(self) -> CleanupReport:
        """Clean; what failed is in the record, and has been reported."""
        began = time.monotonic()
        try:
            with engine.failures(self.rules.engine, TIMEOUT_S):
                api = engine.client(self.rules.engine, TIMEOUT_S)
                with contextlib.closing(api):
                    self._clean(api)
        except Failed as failed:
            self.record.trouble("engine", failed.failure)
        self.record.sum_up(time.monotonic() - began)
        return self.record

    def _clean(self, api: APIClient) -> None:
        rules, record = self.rules, self.record
        state, history = self._open_state()
        remembered = Remembered.load(rules.state_file, self.clock.now())
        self.returns.remembered = remembered.answers
        with Hearing(api, self.clock, history, held=self.heard) as hearing:
            podman = hearing.engine.podman
            work = Work(api, hearing, rules, self.registries, record, self.clock, self.ends_at)
            gone = containers.clean(work)
            seen = self._look_at_disk(work)
            try:
                if rules.images.enabled:
                    if state is not None and self.heard and podman:
                        _learn_the_last_second(state, hearing)
                    images.clean(work, self.returns, seen, gone, known=state is not None)
            finally:
                # By hand nobody knows what was used on Podman before, and the listener's knowledge is better.
                if state is not None and not record.dry_run and (self.heard or not podman):
                    self._save(state, hearing)
            if rules.build_cache_max is not None and not podman:
                _clean_build_cache(api, record, rules.build_cache_max)
            if seen is not None and not record.dry_run:
                record.after = replace(record.after, **seen.usage())
            # Once an hour while a mark is exceeded, and whenever somebody asks.
            if self.explains or (record.short and remembered.unreclaimed_at is None):
                remembered.unreclaimed = unreclaimed.measured(api, rules, seen.data_root if seen else None)
                remembered.unreclaimed_at = self.clock.now()
            record.unreclaimed = remembered.unreclaimed
        record.ended = True
        with contextlib.suppress(Failed):  # losing it costs requests; the trouble is told for the state file
            remembered.save(rules.state_file)

    def _open_state(self) -> tuple[StateFile | None, History | None]:
        try:
            state = StateFile(self.rules.state_file)
            history, there = state.load()
        except Failed as failed:
            self.record.trouble("state_file", failed.failure)
            return None, None
        if there and history is None:
            logs.get().warning(
                "state_file_broken",
                error=f"{self.rules.state_file} makes no sense, so every image counts as used just now",
                fix="Nothing to do: the file is written anew",
            )
        return state, history

    def _save(self, state: StateFile, hearing: Hearing) -> None:
        try:
            state.save(hearing.remembered(), hearing.index.ids.keys())
        except Failed as failed:
            self.record.trouble("state_file", failed.failure)

    def _look_at_disk(self, work: Work) -> Disk | None:
        rules, record = self.rules, self.record
        try:
            told = work.hearing.engine.data_root
            seen = disk.find(told, rules.data_root, lambda one: bool(listing.made_of(work.api, one)))
            record.before = record.after = Usage(**seen.usage())
        except (Failed, OSError) as error:
            if rules.images.enabled and rules.images.when_disk_above is not None:
                unseen = Failure(Reason.TRANSIENT, f"the engine's disk can't be measured: {error}", RETRIED)
                record.trouble("disk", error.failure if isinstance(error, Failed) else unseen)
            return None
        return seen


def _learn_the_last_second(state: StateFile, hearing: Hearing) -> None:
    """Read what the listener heard just before we listened ourselves; Podman keeps no events that would tell."""
    time.sleep(SAVE_WITHIN_S + 0.5)
    with contextlib.suppress(Failed):  # told when it is written
        if (history := state.load()[0]) is not None:
            hearing.history = merged(history, hearing.history)


def _clean_build_cache(api: APIClient, record: CleanupReport, most: int) -> None:
    why = f"build cache above {wording.size(most)}"
    if record.dry_run:
        held = sum(one["Size"] for one in (api.df().get("BuildCache") or ()) if not one.get("Shared"))
        freed, why = held - most, f"build cache of {wording.size(held)}, above {wording.size(most)}"
    else:
        held = freed = int(api.prune_builds(keep_storage=most, all=True).get("SpaceReclaimed") or 0)
    if freed > 0:
        record.went(Gone("build_cache", "", "build cache", why, None, held, freed))
