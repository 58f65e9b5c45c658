"""The metrics of the contract: a collector over the state; prometheus_client writes them. Pure."""

from collections.abc import Callable, Iterator
from math import nan

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ... import __version__
from ...core.model import Reason
from ..machine.state import Cleaning, PrincipalState, State
from .view import token_expiry, token_renewal

CLEANUP_FAILS = ("container", "image", "build_cache", "engine", "disk", "state_file", "events", "cleanup")
PROVED_BY = ("registry", "probe_image", "engine")


def encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    """The writer for an `Accept` header, and its content type."""
    try:
        return choose_encoder(accept)
    except TypeError:  # prometheus_client 0.26 fails on a version that is not a number
        return choose_encoder("")


class StateCollector(Collector):
    """The state at one moment, for prometheus_client's writers; `now` is on the boot clock."""

    def __init__(self, state: State, now: float) -> None:
        self._state, self._now = state, now

    def collect(self) -> Iterator[Metric]:
        """All metrics; without `_created` series."""
        state = self._state
        build = _gauge("build_info", "The version that runs.", "version")
        build.add_metric([__version__], 1)
        yield build
        yield from _of_registries(state)
        yield from _of_slots(state, self._now)
        yield from _of_process(state)
        if state.plan.cleanup.enabled:
            yield from _of_cleanup(state.cleaning)


def _gauge(name: str, text: str, *labels: str, value: float | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"ecr_refresher_{name}", text, value, labels or None)


def _counter(name: str, text: str, *labels: str, value: float | None = None) -> CounterMetricFamily:
    return CounterMetricFamily(f"ecr_refresher_{name}", text, value, labels or None)


def _summary(name: str, text: str, *labels: str) -> SummaryMetricFamily:
    return SummaryMetricFamily(f"ecr_refresher_{name}", text, labels=labels)


def _of_registries(state: State) -> Iterator[Metric]:
    expiry = _gauge("token_expiration_timestamp_seconds", "Expiry of the newest token.", "registry")
    renewal = _gauge("token_renewal_timestamp_seconds", "Planned renewal of the newest token.", "registry")
    attempts = _counter("refresh_attempts", "Tries to fetch a token.", "registry")
    failures = _counter("refresh_failures", "Tries to fetch a token that failed.", "registry", "reason")
    duration = _summary("refresh_duration_seconds", "Time spent fetching tokens.", "registry")
    success = _gauge("last_refresh_success_timestamp_seconds", "When a token was last fetched.", "registry")
    proofs = _counter("proof_failures", "Tests of a new token that failed; they warn only.", "registry", "by")
    for registry in state.plan.registries:
        name = registry.name
        known = state.principals.get(registry.principal.key, PrincipalState())
        tally = known.tally
        expiry.add_metric([name], token_expiry(state, registry) or 0.0)
        renewal.add_metric([name], token_renewal(state, registry) or 0.0)
        attempts.add_metric([name], tally.attempts)
        duration.add_metric([name], count_value=tally.attempts, sum_value=round(tally.seconds, 6))
        success.add_metric([name], known.last_success_at or 0.0)
        for reason in Reason:
            failures.add_metric([name, reason], tally.failures.get(reason, 0))
        for by in PROVED_BY:
            proofs.add_metric([name, by], state.proof_failures.get((name, by), 0))
    yield from (expiry, renewal, attempts, failures, duration, success, proofs)


def _of_slots(state: State, now: float) -> Iterator[Metric]:
    slot_labels = ("registry", "sink")
    attempts = _counter("delivery_attempts", "Deliveries to a slot; skipped ones do not count.", *slot_labels)
    failures = _counter("delivery_failures", "Deliveries that failed.", *slot_labels, "reason")
    skipped = _counter("delivery_skipped", "Deliveries skipped because the slot was fresh.", *slot_labels)
    duration = _summary("delivery_duration_seconds", "Time spent on deliveries.", *slot_labels)
    text = "Expiry of what the slot holds; 0: not known."
    until = _gauge("delivered_token_expiration_timestamp_seconds", text, *slot_labels)
    is_ready = _gauge("sink_ready", "1 while the slot holds an unexpired credential.", *slot_labels)
    repaired = _counter("drift_repaired", "Repairs after somebody removed or changed the entry.", *slot_labels)
    distinct = _counter("distinct_tokens", "Different tokens written into Airflow.", "sink")
    for slot in state.plan.slots:
        names = [slot.registry, slot.sink]
        known, tally = state.slots[slot.id], state.slots[slot.id].tally
        attempts.add_metric(names, tally.attempts)
        skipped.add_metric(names, tally.skipped)
        duration.add_metric(names, count_value=tally.attempts, sum_value=round(tally.seconds, 6))
        until.add_metric(names, known.held_until or 0.0)
        is_ready.add_metric(names, float(state.holds(slot, now)))
        repaired.add_metric(names, tally.repaired)
        for reason in Reason:
            failures.add_metric([*names, reason], tally.failures.get(reason, 0))
        if slot.kind == "airflow":
            distinct.add_metric([slot.sink], tally.distinct)
    yield from (attempts, failures, skipped, duration, until, is_ready, repaired, distinct)


def _of_process(state: State) -> Iterator[Metric]:
    turned_at = state.aws_time(state.turned_boot)
    yield _gauge("loop_last_iteration_timestamp_seconds", "When the loop last turned.", value=turned_at)
    skew = nan if state.skew is None else state.skew
    yield _gauge("clock_skew_seconds", "Local clock minus AWS's; NaN until measured.", value=skew)
    reloads = _counter("config_reloads", "Reloads of the settings.", "result")
    reloads.add_metric(["success"], state.reloads_ok)
    reloads.add_metric(["failure"], state.reloads_failed)
    yield reloads
    reloaded = float(state.last_reload_ok)
    yield _gauge("config_last_reload_successful", "1 unless the last reload of the settings failed.", value=reloaded)


def _of_cleanup(cleaning: Cleaning) -> Iterator[Metric]:
    for what in ("container", "image"):
        yield _counter(f"cleanup_{what}s_removed", f"Removed {what}s.", value=cleaning.removed.get(what, 0))
    yield _counter("cleanup_freed_bytes", "Bytes of what was removed; shared layers stay.", value=cleaning.freed)
    failures = _counter("cleanup_failures", "Things that a cleanup could not do.", "what", "reason")
    for what in CLEANUP_FAILS:
        for reason in Reason:
            failures.add_metric([what, reason], cleaning.failures.get((what, reason), 0))
    yield failures
    yield _gauge("cleanup_listening", "1 while the engine's events are received.", value=float(cleaning.hears))
    last_at, success_at = cleaning.last.at or 0.0, cleaning.last_success_at or 0.0
    yield _gauge("cleanup_last_run_timestamp_seconds", "When the last cleanup ended; 0: none yet.", value=last_at)
    text = "When a cleanup last succeeded; 0: none yet."
    yield _gauge("cleanup_last_success_timestamp_seconds", text, value=success_at)
    swept = cleaning.last.swept
    if swept is None:
        return
    yield _gauge("cleanup_last_duration_seconds", "How long the last cleanup took.", value=swept.duration_s)
    if swept.disk_used is not None and swept.disk_total:
        ratio = swept.disk_used / swept.disk_total
        yield _gauge("cleanup_disk_used_bytes", "Bytes in use on the engine's disk.", value=swept.disk_used)
        yield _gauge("cleanup_disk_used_ratio", "How full the engine's disk is: 0 to 1.", value=ratio)
    if swept.image_bytes is not None:
        text = "Bytes of all images; an upper bound where shared layers count more than once."
        yield _gauge("cleanup_image_bytes", text, value=swept.image_bytes)
    protected = _gauge("cleanup_images_protected", "Images that stayed, by reason.", "reason")
    unreclaimed = _gauge("cleanup_unreclaimed_bytes", "Bytes that no rule covers, by kind.", "kind")
    for family, counts in ((protected, swept.protected), (unreclaimed, swept.unreclaimed)):
        for label, count in sorted(counts.items()):
            family.add_metric([label], count)
        yield family
    text = "1 if a limit is still exceeded and nothing more may go."
    yield _gauge("cleanup_mark_exceeded", text, value=float(swept.short))
