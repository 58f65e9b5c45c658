"""The alerts, in Prometheus' own simulation: each fires when it should, and only then. And how to scrape."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecr_refresher.daemon.machine.state import State
from ecr_refresher.daemon.web import metrics
from tests.deploy.chart import only, render
from tests.testbed import parts

pytestmark = pytest.mark.real("prometheus")
FILE = parts.REPOSITORY / "deploy" / "prometheus" / "alerts.yaml"
(GROUP,) = yaml.safe_load(FILE.read_text())["groups"]
RULES: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in GROUP["rules"]}

# The jobs whose targets the alert on missing ones is about.
JOBS = re.findall(r'job=~"([^"]*)"', RULES["EcrRefresherTargetDown"]["expr"])[0]
US = {"job": "ecr-refresher", "instance": "10.0.0.1:9719"}
SLOT = {**US, "registry": "own", "sink": "airflow/default/docker_default"}
OTHER = {**US, "registry": "own", "sink": "docker//root/.docker/config.json"}


@dataclasses.dataclass(frozen=True)
class Case:
    """What is scraped, a sample a minute from the epoch on, and what then fires (its labels) at a minute."""

    alert: str
    what: str
    scraped: dict[str, str]
    minute: int
    fires: tuple[dict[str, str], ...] = ()


def series(name: str, labels: dict[str, str], **more: str) -> str:
    inner = ",".join(f'{key}="{value}"' for key, value in {**labels, **more}.items())
    return f"{name if name == 'up' else f'ecr_refresher_{name}'}{{{inner}}}"


def deliveries(labels: dict[str, str], attempts: str, failures: str) -> dict[str, str]:
    """The counters of one slot: failures of one reason, none of another."""
    return {
        series("delivery_attempts_total", labels): attempts,
        series("delivery_failures_total", labels, reason="denied"): failures,
        series("delivery_failures_total", labels, reason="invalid"): "0x600",
    }


EXPIRING, NOT_READY = "EcrRefresherCredentialExpiring", "EcrRefresherSlotNotReady"
OVERDUE, SINK, STALLED = "EcrRefresherRenewalOverdue", "EcrRefresherSinkFailing", "EcrRefresherLoopStalled"
SKEW, DOWN = "EcrRefresherClockSkew", "EcrRefresherTargetDown"
UNTIL = series("delivered_token_expiration_timestamp_seconds", SLOT)
RENEWAL = series("token_renewal_timestamp_seconds", US, registry="own")
READY, LOOP = series("sink_ready", SLOT), series("loop_last_iteration_timestamp_seconds", US)
ELSEWHERE, BY_OPERATOR = {**OTHER, "instance": "10.0.0.2:9719"}, {**US, "job": "data/ecr-refresher"}
FAILS, WELL = deliveries(SLOT, "0+1x600", "0+1x600"), deliveries(OTHER, "2x600", "0x600")
OF_REGISTRY = {**US, "registry": "own"}

SUMMARY = "No ecr-refresher publishes to Airflow's connections"

CASES = [
    # a login until minute 600
    Case(EXPIRING, "less than an hour is left", {UNTIL: "36000x700"}, 546, (SLOT,)),
    Case(EXPIRING, "it has expired", {UNTIL: "36000x700"}, 660, (SLOT,)),
    Case(EXPIRING, "not for five minutes yet", {UNTIL: "36000x700"}, 544),
    Case(EXPIRING, "more than an hour is left", {UNTIL: "36000x700"}, 539),
    Case(EXPIRING, "it was renewed in between", {UNTIL: "36000x543 72000x200"}, 560),
    Case(EXPIRING, "nothing is known: that is for another alert", {UNTIL: "0x700"}, 60),
    Case(NOT_READY, "no login for ten minutes", {READY: "1x5 0x30"}, 17, (SLOT,)),
    Case(NOT_READY, "never a login since the start", {READY: "0x30"}, 11, (SLOT,)),
    Case(NOT_READY, "no login for a moment", {READY: "1x5 0x3 1x30"}, 17),
    Case(NOT_READY, "all is well", {READY: "1x30"}, 17),
    # due for renewal at minute 60
    Case(OVERDUE, "half an hour too late", {RENEWAL: "3600x200"}, 96, (OF_REGISTRY,)),
    Case(OVERDUE, "a try or two have failed", {RENEWAL: "3600x200"}, 90),
    Case(OVERDUE, "renewed at last", {RENEWAL: "3600x90 32400x100"}, 96),
    Case(OVERDUE, "nothing is known yet", {RENEWAL: "0x200"}, 96),
    Case(SINK, "one fails, the other is well", {**FAILS, **WELL}, 40, (SLOT,)),
    Case(SINK, "it succeeds now and then", {**deliveries(SLOT, "0+2x600", "0+1x600"), **WELL}, 40),
    Case(SINK, "one failure", {**deliveries(SLOT, "0x20 1x600", "0x20 1x600"), **WELL}, 40),
    Case(SINK, "all fail: that is no sink's fault", {**FAILS, **deliveries(OTHER, "0+1x600", "0+1x600")}, 40),
    Case(SINK, "another daemon's sink is well", {**FAILS, **deliveries(ELSEWHERE, "1x600", "0x600")}, 40),
    Case(STALLED, "the loop stands", {LOOP: "0+60x10 600x30"}, 17, (US,)),
    Case(STALLED, "the loop turned two minutes ago", {LOOP: "0 0 0+60x60"}, 17),
    Case(SKEW, "six minutes ahead", {series("clock_skew_seconds", US): "360x30"}, 6, (US,)),
    Case(SKEW, "six minutes behind", {series("clock_skew_seconds", US): "-360x30"}, 6, (US,)),
    Case(SKEW, "a little off", {series("clock_skew_seconds", US): "200x30"}, 20),
    Case(SKEW, "not measured yet", {series("clock_skew_seconds", US): "NaN " * 30}, 20),
    Case(DOWN, "no answer", {series("up", US): "1x5 0x30"}, 17, (US,)),
    Case(DOWN, "named by the operator", {series("up", BY_OPERATOR): "0x30"}, 11, (BY_OPERATOR,)),
    Case(DOWN, "workers are scaled to zero", {series("up", US): "1x5", series("up", {"job": "node"}): "1x30"}, 25),
    Case(DOWN, "a restart", {series("up", US): "1x5 0x2 1x30"}, 17),
    Case(DOWN, "somebody else is down", {series("up", US): "1x30", series("up", {"job": "node"}): "0x30"}, 17),
]


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    missing = parts.missing_prometheus()
    if missing is not None:
        parts.give_up(missing)
    return subprocess.run([str(parts.PROMTOOL), *map(str, words)], capture_output=True, text=True, check=False)


def simulated(cases: list[Case], directory: Path) -> subprocess.CompletedProcess[str]:
    """Run cases on the rules; annotations, which promtool would compare to the letter, are left out."""
    bare = [{key: value for key, value in rule.items() if key != "annotations"} for rule in RULES.values()]
    (directory / "rules.json").write_text(json.dumps({"groups": [{**GROUP, "rules": bare}]}))
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in case.scraped.items()],
            "alert_rule_test": [
                {
                    "eval_time": f"{case.minute}m",
                    "alertname": case.alert,
                    "exp_alerts": [
                        {"exp_labels": {**labels, "severity": RULES[case.alert]["labels"]["severity"]}}
                        for labels in case.fires
                    ],
                }
            ],
        }
        for case in cases
    ]
    (directory / "tests.json").write_text(json.dumps({"rule_files": ["rules.json"], "tests": tests}))
    return promtool("test", "rules", directory / "tests.json")


def test_the_runbook_s_rule_for_a_publisher_fires_when_it_is_absent(tmp_path: Path) -> None:
    page = (parts.REPOSITORY / "docs" / "metrics-and-alerts.md").read_text()
    (rules,) = (text for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "absent(" in text)
    (tmp_path / "rules.yaml").write_text(rules)
    labels = {"job": "ecr-refresher", "namespace": "ecr-refresher"}
    alert = {"exp_labels": {**labels, "severity": "warning"}, "exp_annotations": {"summary": SUMMARY}}
    absent, there = ({"alertname": "EcrRefresherPublisherAbsent", "eval_time": at} for at in ("40m", "10m"))
    tests = {
        "rule_files": ["rules.yaml"],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": series("up", labels), "values": "1x15"}],
                "alert_rule_test": [{**absent, "exp_alerts": [alert]}, {**there, "exp_alerts": []}],
            }
        ],
    }
    (tmp_path / "tests.json").write_text(json.dumps(tests))
    done = promtool("test", "rules", tmp_path / "tests.json")
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_nothing_to_complain_of() -> None:
    done = promtool("check", "rules", "--lint-fatal", FILE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 rules found" in done.stdout


def test_each_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    done = simulated(CASES, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for alert in RULES:
        assert {bool(case.fires) for case in CASES if case.alert == alert} == {True, False}, alert


@pytest.mark.parametrize("alert", RULES)
def test_the_simulation_would_tell_a_wrong_one(alert: str, tmp_path: Path) -> None:
    """Each case that fires, told not to; and the other way round."""
    firing = next(case for case in CASES if case.alert == alert and case.fires)
    quiet = next(case for case in CASES if case.alert == alert and not case.fires)
    assert simulated([dataclasses.replace(firing, fires=())], tmp_path).returncode != 0
    assert simulated([dataclasses.replace(quiet, fires=firing.fires)], tmp_path).returncode != 0


def test_alerts_speak_of_metrics_that_the_daemon_has() -> None:
    known = {family.name for family in metrics.StateCollector(State(seed=1, started_boot=0.0), 0.0).collect()}
    known |= {f"{name}_total" for name in known}
    for rule in RULES.values():
        used = set(re.findall(r"ecr_refresher_\w+", rule["expr"]))
        assert used <= known, used - known


def test_each_alert_says_what_it_is_about_and_where_to_read_on() -> None:
    repository = tomllib.loads((parts.REPOSITORY / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    for alert, rule in RULES.items():
        annotations = rule["annotations"]
        assert set(annotations) == {"summary", "description", "runbook_url"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert annotations["runbook_url"] == f"{repository}/blob/main/docs/metrics-and-alerts.md#{alert.lower()}"


@pytest.mark.parametrize("name", ["scrape-static.yaml", "scrape-ec2.yaml"])
def test_promtool_takes_the_examples_of_scraping_with_the_alerts_beside_them(name: str) -> None:
    done = promtool("check", "config", FILE.with_name(name))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 rules found" in done.stdout
    (scraped,) = yaml.safe_load(FILE.with_name(name).read_text())["scrape_configs"]
    assert re.fullmatch(JOBS, scraped["job_name"])


def test_the_pod_monitors_name_ports_that_are_there_and_the_job_that_the_alerts_know() -> None:
    monitor = yaml.safe_load(FILE.with_name("scrape-podmonitor.yaml").read_text())
    workers = yaml.safe_load((parts.REPOSITORY / "examples" / "airflow-chart-values.yaml").read_text())["workers"]
    (sidecar,) = workers["celery"]["extraInitContainers"]
    of_chart = only("PodMonitor", render("publisher-full"))
    daemon = only("Deployment", render("publisher-full"))["spec"]["template"]["spec"]["containers"][0]
    for found, container in ((monitor, sidecar), (of_chart, daemon)):
        assert set(found["spec"]) == {"selector", "podMetricsEndpoints"}
        (endpoint,) = found["spec"]["podMetricsEndpoints"]
        assert endpoint["port"] in {port["name"] for port in container["ports"]}
        assert endpoint.get("scheme", "http") == container["livenessProbe"]["httpGet"]["scheme"].lower()
        (relabelled,) = endpoint["relabelings"]
        assert relabelled["targetLabel"] == "job"
        assert re.fullmatch(JOBS, relabelled["replacement"])
