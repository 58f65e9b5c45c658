"""The metrics of the contract, as families built from the state, and their text. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from math import nan
from typing import TYPE_CHECKING

from ... import __version__
from ...core.model import Reason
from ..machine.cleaning import Cleaning
from ..machine.state import PrincipalState, State, holds
from . import exposition
from .exposition import OPENMETRICS, TEXT, Counter, Gauge, Summary
from .view import slots_by_registry, token_expiry, token_renewal

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

__all__ = ["OPENMETRICS", "TEXT", "families", "render"]

CLEANUP_FAILS = ("container", "image", "build_cache", "engine", "disk", "state_file", "events", "cleanup")


def render(state: State, now: float, *, as_openmetrics: bool = False) -> bytes:
    """The text that is scraped; without `_created` series, since the families carry none."""
    write = exposition.as_openmetrics if as_openmetrics else exposition.text
    return write(families(state, now))


def families(state: State, now: float) -> Iterable[Metric]:
    build = Gauge("ecr_refresher_build_info", "The version that runs.", labels=["version"])
    build.add_metric([__version__], 1)
    yield build
    yield from _of_registries(state)
    yield from _of_slots(state, now)
    yield from _of_process(state)
    if state.plan is not None and state.plan.cleanup.enabled:
        yield from _of_cleanup(state.cleaning)


def _of_registries(state: State) -> Iterable[Metric]:
    p = "ecr_refresher_"
    label = ["registry"]
    expiry = Gauge(f"{p}token_expiration_timestamp_seconds", "When the newest token ends.", labels=label)
    renewal = Gauge(f"{p}token_renewal_timestamp_seconds", "When it is due for renewal.", labels=label)
    attempts = Counter(f"{p}refresh_attempts", "Calls for a token.", labels=label)
    failures = Counter(f"{p}refresh_failures", "Calls for a token that failed.", labels=[*label, "reason"])
    duration = Summary(f"{p}refresh_duration_seconds", "Time that calls for a token took.", labels=label)
    success = Gauge(f"{p}last_refresh_success_timestamp_seconds", "When a token was last fetched.", labels=label)
    proofs = Counter(
        f"{p}proof_failures",
        "Tries of a new token that raised a doubt; they warn, and block nothing.",
        labels=[*label, "by"],
    )
    of = slots_by_registry(state)
    for registry in state.plan.registries if state.plan else ():
        name = [registry.name]
        known = state.principals.get(registry.principal.key, PrincipalState())
        tally, failed = known.tally, dict(known.tally.failures)
        expiry.add_metric(name, token_expiry(state, registry, of[registry.name]) or 0.0)
        renewal.add_metric(name, token_renewal(state, of[registry.name]) or 0.0)
        attempts.add_metric(name, tally.attempts)
        duration.add_metric(name, count_value=tally.timed, sum_value=round(tally.seconds, 6))
        success.add_metric(name, known.last_success_at or 0.0)
        for reason in Reason:
            failures.add_metric([*name, reason], failed.get(reason, 0))
        for by in ("registry", "probe_image", "engine"):
            proofs.add_metric([*name, by], state.proof_failures.get((registry.name, by), 0))
    yield from (expiry, renewal, attempts, failures, duration, success, proofs)


def _of_slots(state: State, now: float) -> Iterable[Metric]:
    p = "ecr_refresher_"
    label = ["registry", "sink"]
    attempts = Counter(f"{p}delivery_attempts", "Credentials brought to a slot.", labels=label)
    failures = Counter(f"{p}delivery_failures", "Deliveries that failed.", labels=[*label, "reason"])
    skipped = Counter(f"{p}delivery_skipped", "Deliveries that somebody else had made.", labels=label)
    duration = Summary(f"{p}delivery_duration_seconds", "Time that deliveries took.", labels=label)
    until = Gauge(
        f"{p}delivered_token_expiration_timestamp_seconds", "Until when the slot holds; 0: nothing known.", labels=label
    )
    is_ready = Gauge(f"{p}sink_ready", "1 while the slot holds an unexpired credential.", labels=label)
    repaired = Counter(f"{p}drift_repaired", "Repairs of what somebody else removed or spoiled.", labels=label)
    distinct = Counter(f"{p}distinct_tokens", "Different tokens pushed into Airflow.", labels=["sink"])
    for slot in state.plan.slots if state.plan else ():
        names = [slot.registry, slot.sink]
        known, tally = state.slots[slot.id], state.tallies[slot.id]
        failed = dict(tally.failures)
        attempts.add_metric(names, tally.attempts)
        skipped.add_metric(names, tally.skipped)
        duration.add_metric(names, count_value=tally.timed, sum_value=round(tally.seconds, 6))
        until.add_metric(names, known.held_until or 0.0)
        is_ready.add_metric(names, float(holds(state, slot, now)))
        repaired.add_metric(names, tally.repaired)
        for reason in Reason:
            failures.add_metric([*names, reason], failed.get(reason, 0))
        if slot.kind == "airflow":
            distinct.add_metric([slot.sink], tally.distinct)
    yield from (attempts, failures, skipped, duration, until, is_ready, repaired, distinct)


def _of_process(state: State) -> Iterable[Metric]:
    p = "ecr_refresher_"
    yield Gauge(
        f"{p}loop_last_iteration_timestamp_seconds", "When the loop last turned.", state.aws_time(state.turned_boot)
    )
    skew = nan if state.skew is None else state.skew
    yield Gauge(f"{p}clock_skew_seconds", "Local clock minus AWS's; NaN until measured.", skew)
    reloads = Counter(f"{p}config_reloads", "Reloads of the settings.", labels=["result"])
    reloads.add_metric(["success"], state.reloads_ok)
    reloads.add_metric(["failure"], state.reloads_failed)
    yield reloads
    yield Gauge(
        f"{p}config_last_reload_successful",
        "1 if the last reload was good, or none was asked for.",
        float(state.last_reload_ok),
    )


def _of_cleanup(cleaning: Cleaning) -> Iterable[Metric]:
    p = "ecr_refresher_cleanup_"
    for what in ("container", "image"):
        removed = cleaning.removed.get(what, 0)
        yield Counter(f"{p}{what}s_removed", f"{what.capitalize()}s that were removed.", removed)
    yield Counter(f"{p}freed_bytes", "Bytes of what was removed; shared layers stay.", cleaning.freed)
    failures = Counter(f"{p}failures", "What a cleanup could not do.", labels=["what", "reason"])
    for what in CLEANUP_FAILS:
        for reason in Reason:
            failures.add_metric([what, reason], cleaning.failures.get((what, reason), 0))
    yield failures
    yield Gauge(f"{p}listening", "1 while the engine's events are heard.", float(cleaning.hears))
    yield Gauge(f"{p}last_run_timestamp_seconds", "When the last cleanup ended; 0: none yet.", cleaning.last.at or 0.0)
    yield Gauge(f"{p}last_success_timestamp_seconds", "When one last came to its end.", cleaning.last_success_at or 0.0)
    swept = cleaning.last.swept
    if swept is None:
        return
    yield Gauge(f"{p}last_duration_seconds", "How long the last cleanup took.", swept.duration_s)
    if swept.disk_used is not None and swept.disk_total:
        share = swept.disk_used / swept.disk_total
        yield Gauge(f"{p}disk_used_bytes", "Bytes in use on the engine's disk.", swept.disk_used)
        yield Gauge(f"{p}disk_used_ratio", "How full that disk is: 0 to 1.", share)
    if swept.image_bytes is not None:
        text = "Bytes of all images; shared layers count once where that matters, else this is an upper bound."
        yield Gauge(f"{p}image_bytes", text, swept.image_bytes)
    protected = Gauge(f"{p}images_protected", "Images that stayed, by why.", labels=["reason"])
    for why, count in sorted(swept.protected.items()):
        protected.add_metric([why], count)
    yield protected
    unreclaimed = Gauge(f"{p}unreclaimed_bytes", "Bytes that no rule covers, by kind.", labels=["kind"])
    for kind, count in sorted(swept.unreclaimed.items()):
        unreclaimed.add_metric([kind], count)
    yield unreclaimed
    yield Gauge(f"{p}mark_exceeded", "1 if a mark is still exceeded, and nothing more may go.", float(swept.short))
