"""A real Prometheus scrapes the real daemon: alerts fire and resolve, and all that the dashboard asks has an answer."""

from __future__ import annotations

import itertools
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.testbed import parts
from tests.testbed.daemon import Daemon, Product
from tests.testbed.processes import Record, free_port, wait_until
from tests.testbed.prometheus import Prometheus
from tests.testbed.secret_hunt import Secrets
from tests.testbed.standins.aws_faults import ServerError
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.tokens import TokenBook

pytestmark = pytest.mark.real("prometheus")
HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
LIFE_S = 16.0

# The alerts as they are, but with tokens that live sixteen seconds in place of twelve hours. What each number becomes:
SCALE = {
    "time() < 3600": "time() < 4",  # CredentialExpiring
    "> 1800": "> 4",  # RenewalOverdue
    "[30m]": "[20s]",  # SinkFailing
}
FOR = "1s"


def scaled_alerts() -> dict[str, Any]:
    text = (parts.REPOSITORY / "deploy" / "prometheus" / "alerts.yaml").read_text()
    for real, short in SCALE.items():
        assert real in text
        text = text.replace(real, short)
    rules: dict[str, Any] = yaml.safe_load(text)
    for rule in rules["groups"][0]["rules"]:
        rule["for"] = FOR
    return rules


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((parts.REPOSITORY / "deploy" / "grafana" / "dashboard.json").read_text())
    return loaded


def expressions() -> list[tuple[str, str]]:
    """Title and PromQL of everything that the dashboard asks, its variables at 'All'."""
    found = [(panel["title"], target["expr"]) for panel in dashboard()["panels"] for target in panel.get("targets", ())]
    return [(title, expr.replace("$job", ".*").replace("$registry", ".*")) for title, expr in found]


class Scene:
    """The daemon with a `config.json` and a secrets file of Airflow's, and the Prometheus that watches it."""

    def __init__(self, prometheus: Prometheus, daemon: Daemon, ecr: EcrStandIn, secrets_file: Path) -> None:
        self.prometheus, self.daemon, self.ecr, self.secrets_file = prometheus, daemon, ecr, secrets_file

    def fires(self, alert: str, within: float = 60, **labels: str) -> dict[str, Any]:
        """Wait for an alert on this job; give it as Prometheus shows it, its texts filled in."""
        labels = {"job": "ecr-refresher", "instance": f"127.0.0.1:{self.daemon.port}", **labels}

        def found() -> list[dict[str, Any]]:
            fired = self.prometheus.firing().get(alert, [])
            return [one for one in fired if labels.items() <= one["labels"].items()]

        wait_until(found, within, f"{alert}{labels}", every=0.2)
        shown = found()[0]["annotations"]
        assert "<no value>" not in str(shown)
        assert "error" not in str(shown)
        return dict(shown)

    def calms_down(self, within: float = 60) -> None:
        wait_until(lambda: not self.prometheus.firing(), within, "an end of all alerts", every=0.2)


def test_alerts_fire_for_what_is_done_to_a_daemon_and_resolve(
    product: Product, record: Record, secrets_seen: Secrets, tmp_path: Path
) -> None:
    missing = parts.missing_prometheus()
    if missing is not None:
        parts.give_up(missing)
    book = TokenBook(life_s=LIFE_S)
    secrets_seen.follow(lambda: [token.password for token in book.all_issued()])
    secrets_file = tmp_path / "connections.json"
    settings = {
        "registries": [HOST],
        "airflow": {"kind": "secrets_file", "file": str(secrets_file), "connections": {"docker_default": HOST}},
        "docker": {"config_file": str(tmp_path / "docker" / "config.json")},
        "refresh": {"at_fraction": 0.5, "jitter": 0.02, "retry_first": "1s", "retry_max": "1s", "prove": False},
    }
    port = free_port()
    prometheus = Prometheus(record, tmp_path, [f"127.0.0.1:{port}"], scaled_alerts())
    try:
        with EcrStandIn(book) as ecr:
            prometheus.start()
            daemon = product.start_daemon(settings, ecr_url=ecr.url, port=port, measured=False)
            scene = Scene(prometheus, daemon, ecr, secrets_file)
            daemon.wait_for(lambda status: status["ready"])
            scene.calms_down()
            for act in (a_sink_that_takes_nothing, an_ecr_that_is_down, a_clock_that_is_off, a_daemon_that_hangs):
                act(scene)
                scene.calms_down()
            the_dashboard_shows_it(prometheus)
        assert ecr.crashes == []
    finally:
        prometheus.stop()


def a_sink_that_takes_nothing(scene: Scene) -> None:
    scene.secrets_file.write_text("no longer JSON")
    sink = "airflow/default/docker_default"
    told = scene.fires("EcrRefresherSinkFailing", sink=sink, registry=HOST)
    assert told["summary"] == f"Deliveries to {sink} fail, while other sinks work"
    of_others = [one for one in scene.prometheus.firing()["EcrRefresherSinkFailing"] if one["labels"]["sink"] != sink]
    assert of_others == []
    scene.secrets_file.unlink()


def an_ecr_that_is_down(scene: Scene) -> None:
    scene.ecr.always(ServerError())
    overdue = scene.fires("EcrRefresherRenewalOverdue", registry=HOST)
    assert overdue["summary"] == f"The login at {HOST} is overdue for renewal"
    sink = "airflow/default/docker_default"
    told = scene.fires("EcrRefresherCredentialExpiring", sink=sink, registry=HOST)
    assert told["summary"] == f"The login in {sink} expires within the hour"
    scene.fires("EcrRefresherSlotNotReady", sink=sink, registry=HOST)
    scene.ecr.heal()


def a_clock_that_is_off(scene: Scene) -> None:
    scene.ecr.date_offset_s = -400
    scene.daemon.signal(signal.SIGUSR1)  # fetches at once, and with the token comes AWS's time
    told = scene.fires("EcrRefresherClockSkew")
    assert told["summary"] == f"The clock of 127.0.0.1:{scene.daemon.port} is off"
    assert "differs from AWS's by 6m 4" in told["description"] or "differs from AWS's by 6m 3" in told["description"]
    scene.ecr.date_offset_s = 0
    scene.daemon.signal(signal.SIGUSR1)


def a_daemon_that_hangs(scene: Scene) -> None:
    scene.daemon.signal(signal.SIGSTOP)
    try:
        told = scene.fires("EcrRefresherTargetDown")
        assert told["summary"] == f"ecr-refresher can't be scraped on 127.0.0.1:{scene.daemon.port}"
    finally:
        scene.daemon.signal(signal.SIGCONT)


def the_dashboard_shows_it(prometheus: Prometheus) -> None:
    empty = [f"{title}: {expr}" for title, expr in expressions() if not has_data(prometheus.query(expr))]
    assert empty == []
    # Of what was done, the panels of failures tell the kinds.
    failed = next(expr for title, expr in expressions() if title == "Deliveries that failed, by kind")
    kinds = {one["metric"]["reason"] for one in prometheus.query(failed) if float(one["value"][1]) > 0}
    assert "invalid" in kinds
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = variable["definition"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
            assert all(label in one["metric"] for one in prometheus.query(metric.replace("$job", ".*")))
    assert prometheus.query("ecr_refresher_no_such_metric") == [], "the test must be able to fail"


def has_data(vector: list[dict[str, Any]]) -> bool:
    return any(one["value"][1] != "NaN" for one in vector)


def test_the_dashboard_is_in_order() -> None:
    shown = dashboard()
    names = [variable["name"] for variable in shown["templating"]["list"]]
    assert names == ["datasource", "job", "registry"]
    panels = shown["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        left, top = place["x"], place["y"]
        own = set(itertools.product(range(left, left + place["w"]), range(top, top + place["h"])))
        assert not own & cells, panel["title"]
        assert all(0 <= x < 24 for x, _ in own)
        cells |= own
        if panel["type"] != "row":
            assert panel["description"]
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


def test_there_is_something_to_ask() -> None:
    asked = [expr for _, expr in expressions()]
    assert len(asked) >= 20
    assert [expr for expr in asked if "$" in expr or not ("ecr_refresher_" in expr or "up{" in expr)] == []
