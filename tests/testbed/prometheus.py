"""A real Prometheus: scrapes what it is told, evaluates rules, answers queries."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.testbed import parts
from tests.testbed.processes import Process, Record, free_port, wait_until


class Prometheus:
    """One server on a random port; scrapes and evaluates twice a second."""

    def __init__(self, record: Record, directory: Path, targets: list[str], rules: dict[str, Any]) -> None:
        self.log_file = directory / "prometheus.log"
        self.port = free_port()
        self._process = Process(record, "prometheus")
        (directory / "rules.json").write_text(json.dumps(rules))
        settings = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": ["rules.json"],
            "scrape_configs": [{"job_name": "ecr-refresher", "static_configs": [{"targets": targets}]}],
        }
        self._settings = directory / "prometheus.json"
        self._settings.write_text(json.dumps(settings))
        self._data = directory / "prometheus"

    def start(self) -> None:
        """Return once it answers."""
        words = [f"--config.file={self._settings}", f"--storage.tsdb.path={self._data}", "--log.level=warn"]
        words.append(f"--web.listen-address=127.0.0.1:{self.port}")
        self._process.start([parts.PROMETHEUS, *words], log=self.log_file, env={})
        wait_until(lambda: self._answers() or not self._process.running, 30, "an answer of Prometheus")
        assert self._process.running, self.log_file.read_text()

    def stop(self) -> None:
        self._process.stop()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector that an expression gives; an expression that is wrong is an exception."""
        return list(self._get("query", query=expression)["result"])

    def firing(self) -> dict[str, list[dict[str, Any]]]:
        """The alerts that fire, by name: each with `labels` and `annotations`."""
        found: dict[str, list[dict[str, Any]]] = {}
        for alert in self._get("alerts")["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found

    def _get(self, what: str, **parameters: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=10) as response:
            return json.load(response)["data"]

    def _answers(self) -> bool:
        try:
            self._get("alerts")
        except OSError:
            return False
        return True
