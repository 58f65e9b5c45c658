"""Metrics and alerts in the pages: all that there are, by their right names, in expressions that Prometheus takes."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from ecr_refresher.core import wire
from tests.testbed import parts
from tests.unit.daemon.test_cleaning import SWEPT, Cleaner
from tests.unit.daemon.world import World, scraped

from .pages import PAGES, ROOT, anchors, blocks

PAGE = "docs/metrics-and-alerts.md"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
PROMQL = blocks("promql")


@functools.cache
def exported() -> set[str]:
    """The names that a scrape has, as one writes them in a query."""
    world = World().loaded()
    cleaning = Cleaner().hears()
    job = cleaning.sweep()
    cleaning.say(SWEPT, wire.Done(), job=job.id).gone(job)
    text = scraped(world) + scraped(cleaning)
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    assert len(names) > 15
    return names


def named(text: str) -> set[str]:
    return set(re.findall(r"\becr_refresher_[a-z_]*[a-z]\b", text))


def test_the_page_names_every_metric_that_there_is() -> None:
    table = {
        line.split("`")[1] for line in PAGES[PAGE].read_text().splitlines() if line.startswith("| `ecr_refresher_")
    }
    assert table == exported()


@pytest.mark.parametrize("page", PAGES)
def test_every_metric_that_a_page_names_exists(page: str) -> None:
    assert named(PAGES[page].read_text()) <= exported()


def alerts() -> dict[str, dict[str, object]]:
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


def test_every_alert_has_a_runbook_and_every_runbook_its_alert() -> None:
    headings = set(re.findall(r"^### (EcrRefresher\w+)$", PAGES[PAGE].read_text(), re.MULTILINE))
    assert headings == alerts().keys()


def test_runbook_urls_lead_to_their_headings() -> None:
    for name, rule in alerts().items():
        (url,) = re.findall(r"https://\S+", str(rule["annotations"]))
        path, _, anchor = url.strip("'\",}").partition("#")
        assert path.endswith(PAGE), name
        assert anchor == name.lower()
        assert anchor in anchors(PAGE)


def test_expressions_are_promql(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        parts.give_up("promtool: not on PATH; run `make prepare` as root on Debian")
    rules = [{"record": f"page:block:{number}", "expr": block.text} for number, block in enumerate(PROMQL)]
    assert rules
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "pages", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
