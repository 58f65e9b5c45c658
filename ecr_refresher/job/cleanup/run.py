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
from . import containers, wording
from .images import ImageCleaner
from .policy import Registries, Usage
from .remembered import Remembered
from .report import RETRIED, TIMEOUT_S, CleanupReport, Gone
from .returns import Login, Returns
from .space import disk, unreclaimed
from .space.disk import Disk
from .space.downloads import Patience
from .usage.hearing import Hearing
from .usage.last_use import History, merged
from .usage.listener import SAVE_WITHIN_S
from .usage.state_file import StateFile

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
        state, history = self._open_state()
        remembered = Remembered.load(self.rules.state_file, self.clock.now())
        self.returns.remembered = remembered.answers
        with Hearing(api, self.clock, history, held=self.heard) as hearing:
            rules = self.rules.containers
            gone = containers.clean(api, hearing, rules, self.registries, self.record, self.clock.now, self._time_is_up)
            seen = self._look_at_disk(api, hearing)
            try:
                if self.rules.images.enabled:
                    if state is not None and self.heard and hearing.engine.podman:
                        self._learn_the_last_second(state, hearing)
                    self._clean_images(api, hearing, seen, gone, known=state is not None)
            finally:
                # By hand nobody knows what was used on Podman before, and the listener's knowledge is better.
                if state is not None and not self.record.dry_run and (self.heard or not hearing.engine.podman):
                    self._save(state, hearing)
            if self.rules.build_cache_max is not None and not hearing.engine.podman:
                self._clean_build_cache(api, self.rules.build_cache_max)
            if seen is not None and not self.record.dry_run:
                self.record.after = replace(self.record.after, **seen.usage())
            self._say_where_the_space_is(api, seen, remembered)
        self.record.ended = True
        with contextlib.suppress(Failed):  # losing it costs requests; the trouble is told for the state file
            remembered.save(self.rules.state_file)

    def _time_is_up(self) -> bool:
        return self.clock.boot() > self.ends_at

    def _clean_images(
        self, api: APIClient, hearing: Hearing, seen: Disk | None, gone: frozenset[str], *, known: bool
    ) -> None:
        cleaner = ImageCleaner(
            api=api,
            hearing=hearing,
            rules=self.rules.images,
            registries=self.registries,
            record=self.record,
            returns=self.returns,
            disk=seen,
            patience=Patience(self.clock.boot),
            now=self.clock.now,
            time_is_up=self._time_is_up,
        )
        cleaner.clean(containers.in_use(hearing, gone), known=known)

    def _say_where_the_space_is(self, api: APIClient, seen: Disk | None, remembered: Remembered) -> None:
        """Once an hour while a mark is exceeded, and whenever somebody asks."""
        now = self.clock.now()
        if self.explains or (self.record.short and remembered.unreclaimed_at is None):
            remembered.unreclaimed = unreclaimed.measured(api, self.rules, seen.data_root if seen else None)
            remembered.unreclaimed_at = now
        self.record.unreclaimed = remembered.unreclaimed

    # --- what is remembered ------------------------------------------------------------------------------------------
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

    def _learn_the_last_second(self, state: StateFile, hearing: Hearing) -> None:
        """Read what the listener heard just before we listened ourselves; Podman keeps no events that would tell."""
        time.sleep(SAVE_WITHIN_S + 0.5)
        try:
            history, _ = state.load()
        except Failed:
            return  # told when it is written
        if history is not None:
            hearing.history = merged(history, hearing.history)

    def _save(self, state: StateFile, hearing: Hearing) -> None:
        try:
            state.save(hearing.remembered(), hearing.index.ids.keys())
        except Failed as failed:
            self.record.trouble("state_file", failed.failure)

    # --- the disk and the build cache --------------------------------------------------------------------------------
    def _look_at_disk(self, api: APIClient, hearing: Hearing) -> Disk | None:
        try:
            seen = disk.find(hearing.engine.data_root, self.rules.data_root, lambda one: _knows(api, one))
            self.record.before = self.record.after = Usage(**seen.usage())
        except (Failed, OSError) as error:
            if self.rules.images.enabled and self.rules.images.when_disk_above is not None:
                unseen = Failure(Reason.TRANSIENT, f"the engine's disk can't be measured: {error}", RETRIED)
                self.record.trouble("disk", error.failure if isinstance(error, Failed) else unseen)
            return None
        return seen

    def _clean_build_cache(self, api: APIClient, most: int) -> None:
        if self.record.dry_run:
            held = sum(one["Size"] for one in (api.df().get("BuildCache") or ()) if not one.get("Shared"))
            if held > most:
                why = f"build cache of {wording.size(held)}, above {wording.size(most)}"
                self.record.note(Gone("build_cache", "", "build cache", why, None, held, held - most))
            return
        freed = int(api.prune_builds(keep_storage=most, all=True).get("SpaceReclaimed") or 0)
        if freed:
            why = f"build cache above {wording.size(most)}"
            self.record.note(Gone("build_cache", "", "build cache", why, None, freed, freed))


def _knows(api: APIClient, container: str) -> bool:
    from docker.errors import NotFound

    try:
        api.inspect_container(container)
    except NotFound:
        return False
    return True
