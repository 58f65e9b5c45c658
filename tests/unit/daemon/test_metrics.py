"""The metrics of the contract: names, types and labels, and what they count."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from math import isnan

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from ecr_refresher import __version__
from ecr_refresher.core import wire
from ecr_refresher.core.model import Outcome, Reason
from ecr_refresher.daemon.machine.state import RECHECK_S
from ecr_refresher.daemon.web import metrics
from tests.testbed.daemon import MEASURING

from .world import AIRFLOW, DOCKER, EPOCH, HOST, LIFE, PRINCIPAL, World, failure, scraped

PER_REGISTRY, PER_SLOT = {"registry"}, {"registry", "sink"}
CONTRACT = {
    "build_info": ("gauge", {"version"}),
    "token_expiration_timestamp_seconds": ("gauge", PER_REGISTRY),
    "token_renewal_timestamp_seconds": ("gauge", PER_REGISTRY),
    "refresh_attempts_total": ("counter", PER_REGISTRY),
    "refresh_failures_total": ("counter", {"registry", "reason"}),
    "refresh_duration_seconds": ("summary", PER_REGISTRY),
    "last_refresh_success_timestamp_seconds": ("gauge", PER_REGISTRY),
    "delivery_attempts_total": ("counter", PER_SLOT),
    "delivery_failures_total": ("counter", {"registry", "sink", "reason"}),
    "delivery_skipped_total": ("counter", PER_SLOT),
    "delivery_duration_seconds": ("summary", PER_SLOT),
    "delivered_token_expiration_timestamp_seconds": ("gauge", PER_SLOT),
    "sink_ready": ("gauge", PER_SLOT),
    "drift_repaired_total": ("counter", PER_SLOT),
    "distinct_tokens_total": ("counter", {"sink"}),
    "loop_last_iteration_timestamp_seconds": ("gauge", set()),
    "proof_failures_total": ("counter", {"registry", "by"}),
    "clock_skew_seconds": ("gauge", set()),
    "config_reloads_total": ("counter", {"result"}),
    "config_last_reload_successful": ("gauge", set()),
}


OPENMETRICS = "application/openmetrics-text;version=1.0.0"


def families(world: World) -> dict[str, Metric]:
    return {family.name: family for family in parse_text(scraped(world))}


def value(world: World, name: str, **labels: str) -> float:
    samples = [sample for family in families(world).values() for sample in family.samples]
    (found,) = [s.value for s in samples if s.name == f"ecr_refresher_{name}" and s.labels == labels]
    return float(found)


def of_slot(slot_id: tuple[str, str]) -> dict[str, str]:
    return {"sink": slot_id[0], "registry": slot_id[1]}


def test_every_metric_of_the_contract_is_there_with_its_type_and_labels() -> None:
    world = World().served()
    found = {}
    for line in scraped(world).splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            found[name.removeprefix("ecr_refresher_")] = kind
    labels: dict[str, set[str]] = {}
    for family in parse_text(scraped(world)):
        for sample in family.samples:
            name = sample.name.removeprefix("ecr_refresher_")
            if family.type == "summary":
                name = name.removesuffix("_sum").removesuffix("_count")
            assert labels.setdefault(name, set(sample.labels)) == set(sample.labels)
    assert {name: (kind, labels[name]) for name, kind in found.items()} == CONTRACT


@pytest.mark.parametrize(
    ("as_openmetrics", "parse"), [(False, parse_text), (True, parse_openmetrics)], ids=["text", "openmetrics"]
)
@pytest.mark.parametrize("world", [World().turn(), World().loaded(), World().served()], ids=["new", "loaded", "served"])
def test_both_formats_are_well_formed_at_every_moment(
    world: World, as_openmetrics: bool, parse: Callable[[str], Iterable[Metric]]
) -> None:
    text = scraped(world, OPENMETRICS if as_openmetrics else "")
    parsed = {family.name: family for family in parse(text)}
    assert parsed
    assert all(family.documentation for family in parsed.values())
    assert "_created" not in text
    assert text.endswith("# EOF\n") is as_openmetrics


def test_both_formats_say_the_same() -> None:
    world = World().served()
    samples = [
        {(s.name, tuple(sorted(s.labels.items()))): s.value for f in parse(text) for s in f.samples}
        for parse, text in (
            (parse_text, scraped(world)),
            (parse_openmetrics, scraped(world, OPENMETRICS)),
        )
    ]
    assert samples[0] == samples[1]


def test_counters_stand_at_0_from_the_first_plan() -> None:
    world = World().loaded()
    assert value(world, "refresh_attempts_total", registry=HOST) == 0
    assert value(world, "config_reloads_total", result="success") == 0
    assert value(world, "config_reloads_total", result="failure") == 0
    for reason in Reason:
        assert value(world, "refresh_failures_total", registry=HOST, reason=str(reason)) == 0
        for slot_id in (DOCKER, AIRFLOW):
            assert value(world, "delivery_failures_total", reason=str(reason), **of_slot(slot_id)) == 0
    for name in ("delivery_attempts_total", "delivery_skipped_total", "drift_repaired_total"):
        for slot_id in (DOCKER, AIRFLOW):
            assert value(world, name, **of_slot(slot_id)) == 0
    assert value(world, "distinct_tokens_total", sink=AIRFLOW[0]) == 0


def test_distinct_tokens_are_counted_for_airflow_only() -> None:
    samples = families(World().served())["ecr_refresher_distinct_tokens"].samples
    assert [(sample.labels, sample.value) for sample in samples] == [({"sink": AIRFLOW[0]}, 1.0)]


def test_the_skew_is_not_a_number_until_measured() -> None:
    assert isnan(value(World().loaded(), "clock_skew_seconds"))
    assert value(World().loaded().say(wire.Clock(0.0, -1.5)), "clock_skew_seconds") == -1.5


def test_what_is_held_and_until_when() -> None:
    world = World().served()
    assert value(world, "delivered_token_expiration_timestamp_seconds", **of_slot(DOCKER)) == EPOCH + LIFE
    assert value(world, "token_expiration_timestamp_seconds", registry=HOST) == EPOCH + LIFE
    assert value(world, "last_refresh_success_timestamp_seconds", registry=HOST) == EPOCH
    assert value(world, "sink_ready", **of_slot(DOCKER)) == 1
    assert value(world, "build_info", version=__version__) == 1
    renewal = value(world, "token_renewal_timestamp_seconds", registry=HOST)
    assert EPOCH < renewal < EPOCH + LIFE
    world.wait(LIFE)
    assert value(world, "sink_ready", **of_slot(DOCKER)) == 0
    assert value(world, "delivered_token_expiration_timestamp_seconds", **of_slot(DOCKER)) == EPOCH + LIFE


def test_nothing_known_is_0() -> None:
    world = World().loaded()
    assert value(world, "delivered_token_expiration_timestamp_seconds", **of_slot(DOCKER)) == 0
    assert value(world, "token_expiration_timestamp_seconds", registry=HOST) == 0
    assert value(world, "sink_ready", **of_slot(DOCKER)) == 0


def test_what_was_done_is_counted() -> None:
    world = World().served()
    world.ask("refresh").turn()
    world.finish(
        wire.Fetched(PRINCIPAL, 1.5, failure=failure(Reason.DENIED)),
        world.fetched(),
        wire.Proved(HOST, "engine", failure()),
        world.delivered(DOCKER, repaired=True),
        world.delivered(AIRFLOW, outcome=Outcome.SKIPPED),
    )
    assert value(world, "refresh_attempts_total", registry=HOST) == 3
    assert value(world, "refresh_failures_total", registry=HOST, reason="denied") == 1
    assert value(world, "refresh_duration_seconds_sum", registry=HOST) == 2.0
    assert value(world, "refresh_duration_seconds_count", registry=HOST) == 3
    assert value(world, "delivery_attempts_total", **of_slot(DOCKER)) == 2
    assert value(world, "delivery_duration_seconds_count", **of_slot(DOCKER)) == 2
    assert value(world, "delivery_attempts_total", **of_slot(AIRFLOW)) == 1
    assert value(world, "delivery_skipped_total", **of_slot(AIRFLOW)) == 1
    assert value(world, "drift_repaired_total", **of_slot(DOCKER)) == 1
    assert value(world, "proof_failures_total", registry=HOST, by="engine") == 1
    assert value(world, "loop_last_iteration_timestamp_seconds") == EPOCH
    world.wait(RECHECK_S).turn()
    assert value(world, "loop_last_iteration_timestamp_seconds") == EPOCH + RECHECK_S


def test_reloads_are_counted_by_their_result() -> None:
    world = World().served()
    assert value(world, "config_last_reload_successful") == 1
    world.ask("reload").turn().finish(wire.Refused(("bad",)))
    assert value(world, "config_reloads_total", result="failure") == 1
    assert value(world, "config_last_reload_successful") == 0


def test_accept_headers_choose_the_format_as_in_prometheus_client() -> None:
    world = World().served()
    prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4"
    assert metrics.encoder(prometheus)[1].startswith("application/openmetrics-text; version=1.0.0")
    assert metrics.encoder("text/plain;version=0.0.4")[1].startswith("text/plain; version=0.0.4")
    for accept in ("", "*/*", "application/openmetrics-text;version=0.0.1", "application/openmetrics-text;version=x"):
        assert metrics.encoder(accept)[1].startswith("text/plain; version=0.0.4"), accept
        assert scraped(world, accept) == scraped(world)


def test_the_daemon_leaves_the_whole_of_prometheus_client_to_others() -> None:
    program = (
        "import ecr_refresher.daemon.supervisor, prometheus_client as p; "
        "p.Counter('x', 'y').inc(); p.start_http_server, p.REGISTRY; print(p.generate_latest().decode())"
    )
    bare = {name: value for name, value in os.environ.items() if name not in MEASURING}
    done = subprocess.run([sys.executable, "-c", program], env=bare, capture_output=True, text=True, check=True)
    assert "x_total 1.0" in done.stdout
