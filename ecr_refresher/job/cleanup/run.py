"""One cleanup: look, have the policy judge, remove one by one; or list what would be removed.

Images are never pruned: that takes the leases of pulls under way (moby/moby#53321). Nothing is forced: the engine
itself refuses to remove what came into use a moment ago. Named volumes are never touched.
"""

import contextlib
import time
from dataclasses import replace
from functools import cache

from docker import APIClient

from ... import logs
from ...core import budgets, wire
from ...core.model import Failed, Failure, Reason
from ...core.plan import Cleanup, Plan
from ..aws.clock import AwsClock
from ..net import engine, proof
from ..refresh.tools import RealTools
from . import containers, images, listing, wording
from .policy import Registries, Usage
from .remembered import Remembered
from .report import RETRIED, TIMEOUT_S, CleanupReport, Gone
from .returns import Ask, Login, Returns
from .space import disk, unreclaimed
from .space.disk import Disk
from .usage.hearing import Hearing
from .usage.last_use import History, merged
from .usage.state_file import SAVE_WITHIN_S, StateFile
from .work import Work


def clean(
    plan: Plan,
    valid: tuple[str, ...],
    clock: AwsClock,
    report: wire.Report,
    *,
    dry_run: bool,
    ends_at: float,
    heard: bool = False,
    explains: bool = False,
    login: Login | None = None,
    ask: Ask = proof.manifest_status,
) -> CleanupReport:
    """One cleanup by the plan's rules; returns the report, which includes what failed.

    `valid` are the registries of which a credential is valid now. It starts nothing new after `ends_at`, on the boot
    clock. `heard` tells that a listener has heard the engine all along; `explains` asks where the space is that no rule
    covers, even if nothing is short. `login` gives the credential by which a registry is asked whether it can give an
    image back. By default that is a token of the registry's principal, fetched only if an image is about to go: reading
    the login back out of a user's file would put it into one more process.
    """
    rules, began = plan.cleanup, time.monotonic()
    by_host = {registry.host: registry for registry in plan.registries if registry.host}
    registries = Registries(frozenset(by_host), frozenset(valid))
    record = CleanupReport(report, dry_run or rules.dry_run)
    returns = Returns(by_host, cache(login or RealTools(plan, clock, report).fetch), ask, clock.now)
    try:
        with engine.connected(rules.engine, TIMEOUT_S, budgets.ENGINE_LIST_MAX) as api:
            state, history = _open_state(rules, record)
            with Hearing(api, clock, history, held=heard) as hearing:
                work = Work(api, hearing, rules, registries, record, clock, ends_at)
                _clean(work, returns, state, heard=heard, explains=explains)
    except Failed as failed:
        record.trouble("engine", failed.failure)
    record.sum_up(time.monotonic() - began)
    return record


def _clean(work: Work, returns: Returns, state: StateFile | None, *, heard: bool, explains: bool) -> None:
    rules, record, hearing, podman = work.rules, work.record, work.hearing, work.hearing.engine.podman
    remembered = Remembered.load(rules.state_file, work.clock.now())
    returns.remembered = remembered.answers
    gone = containers.clean(work)
    seen = _look_at_disk(work)
    try:
        if rules.images.enabled:
            if state is not None and heard and podman:
                _learn_the_last_second(state, hearing)
            images.clean(work, returns, seen, gone, known=state is not None)
    finally:
        # On Podman a cleanup by hand does not know earlier uses; the listener does.
        if state is not None and not record.dry_run and (heard or not podman):
            try:
                state.save(hearing.remembered(), hearing.index.ids.keys())
            except Failed as failed:
                record.trouble("state_file", failed.failure)
    if rules.build_cache_max is not None and not podman:
        _clean_build_cache(work.api, record, rules.build_cache_max)
    if seen is not None and not record.dry_run:
        record.after = replace(record.after, **seen.usage())
    # Once an hour while a mark is exceeded, and whenever somebody asks.
    if explains or (record.short and remembered.unreclaimed_at is None):
        remembered.unreclaimed = unreclaimed.measured(work.api, rules, seen.data_root if seen else None)
        remembered.unreclaimed_at = work.clock.now()
    record.unreclaimed, record.ended = remembered.unreclaimed, True
    with contextlib.suppress(Failed):  # losing it costs requests; the state file's own write reports the trouble
        remembered.save(rules.state_file)


def _open_state(rules: Cleanup, record: CleanupReport) -> tuple[StateFile | None, History | None]:
    try:
        state = StateFile(rules.state_file)
        history, there = state.load()
    except Failed as failed:
        record.trouble("state_file", failed.failure)
        return None, None
    if there and history is None:
        logs.get().warning(
            "state_file_broken",
            error=f"{rules.state_file} is malformed, so every image counts as used just now",
            fix="Nothing to do: a new file is written",
        )
    return state, history


def _look_at_disk(work: Work) -> Disk | None:
    rules, record, told = work.rules, work.record, work.hearing.engine.data_root
    try:
        seen = disk.find(told, rules.data_root, lambda one: bool(listing.made_of(work.api, one)))
        record.before = record.after = Usage(**seen.usage())
    except (Failed, OSError) as error:
        if rules.images.enabled and rules.images.when_disk_above is not None:
            unseen = Failure(Reason.TRANSIENT, f"the engine's disk can't be measured: {error}", RETRIED)
            record.trouble("disk", error.failure if isinstance(error, Failed) else unseen)
        return None
    return seen


def _learn_the_last_second(state: StateFile, hearing: Hearing) -> None:
    """Read what the listener heard just before we listened ourselves; Podman keeps no events to catch up with."""
    time.sleep(SAVE_WITHIN_S + 0.5)
    with contextlib.suppress(Failed):  # reported when it is written
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
