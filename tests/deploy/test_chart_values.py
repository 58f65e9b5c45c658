"""The chart's values: wrong ones are refused with their name, each is documented, and README shows what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import chart, chart_made
from tests.deploy.chart import CHART, HELMS, render
from tests.testbed.prepare_helm import Helm

pytestmark = pytest.mark.real("helm")
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())

# Values, the path that the message must name, and a word of why.
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"mode": "sidecar"}, "mode", "publisher"),
    ({"modus": "node"}, "", "modus"),
    ({"replicas": -1}, "replicas", "0"),
    ({"replicas": "two"}, "replicas", "integer"),
    ({"image": {"repo": "x"}}, "image", "repo"),
    ({"image": {"repository": ""}}, "image.repository", "1"),
    ({"image": {"digest": "0123"}}, "image.digest", "sha256"),
    ({"image": {"pullPolicy": "Sometimes"}}, "image.pullPolicy", "IfNotPresent"),
    ({"imagePullSecrets": ["pull"]}, "imagePullSecrets.0", "object"),
    ({"config": {"registry": "x"}}, "config", "registry"),
    ({"config": {"registries": ["docker.io"]}}, "config.registries.0", "pattern"),
    ({"config": {"airflow": "https://airflow.example.com"}}, "config.airflow", ""),
    ({"config": {"airflow": [{"url": "https://x", "passwort_file": "/x"}]}}, "config.airflow.0", "passwort_file"),
    ({"config": {"docker": {"engine_required": "perhaps"}}}, "config.docker.engine_required", ""),
    ({"config": {"refresh": {"deadline": "soon"}}}, "config.refresh.deadline", "pattern"),
    ({"config": {"server": {"listen": "127.0.0.1:9719"}}}, "config.server", "listen"),
    ({"existingSecret": "Airflow_Login"}, "existingSecret", "pattern"),
    ({"existingSecret": {"name": "x"}}, "existingSecret", "string"),
    ({"aws": {"region": "Frankfurt"}}, "aws.region", "pattern"),
    ({"aws": {"roleArn": "ecr-refresher"}}, "aws.roleArn", "arn:aws"),
    ({"serviceAccount": {"annotations": {"a": 1}}}, "serviceAccount.annotations.a", "string"),
    ({"env": [{"value": "x"}]}, "env.0", "name"),
    ({"env": {"A": "b"}}, "env", "array"),
    ({"extraVolumeMounts": [{"name": "x"}]}, "extraVolumeMounts.0", "mountPath"),
    ({"port": 80}, "port", "024"),
    ({"resources": {"limit": {}}}, "resources", "limit"),
    ({"resources": {"limits": {"memory": "lots"}}}, "resources.limits.memory", ""),
    ({"probes": {"startup": {"enabled": "yes"}}}, "probes.startup.enabled", "boolean"),
    ({"probes": {"ready": {}}}, "probes", "ready"),
    ({"probes": {"liveness": {"periodSeconds": 0}}}, "probes.liveness.periodSeconds", "1"),
    ({"podDisruptionBudget": {"maxUnavailable": "half"}}, "podDisruptionBudget.maxUnavailable", ""),
    ({"networkPolicy": {"egress": {"ports": ["https"]}}}, "networkPolicy.egress.ports.0", "integer"),
    ({"topologySpreadConstraints": [{"maxSkew": 1}]}, "topologySpreadConstraints.0", "topologyKey"),
    ({"node": {"dockerConfigDirectory": "root"}}, "node.dockerConfigDirectory", "pattern"),
    ({"node": {"socket": "docker/docker.sock"}}, "node.socket", "pattern"),
    ({"sidecar": {"registries": ["https://example.com"]}}, "sidecar.registries.0", "pattern"),
    ({"sidecar": {"runAsUser": 0}}, "sidecar.runAsUser", "1"),
    ({"podMonitor": {"interval": 30}}, "podMonitor.interval", "string"),
    ({"prometheusRule": {"enabled": True, "label": {}}}, "prometheusRule", "label"),
    ({"grafanaDashboard": {"labels": ["x"]}}, "grafanaDashboard.labels", "object"),
]


def batches() -> Iterator[list[tuple[dict[str, Any], str, str]]]:
    """The wrong values, in as few sets as can be made without two values for one key: Helm tells of all at once."""
    left = WRONG
    while left:
        taken: dict[str, tuple[dict[str, Any], str, str]] = {}
        for one in left:
            taken.setdefault(next(iter(one[0])), one)
        yield list(taken.values())
        left = [one for one in left if one not in taken.values()]


@pytest.mark.parametrize("helm", HELMS, ids=lambda helm: f"helm-{helm.version}")
def test_wrong_values_are_refused_by_messages_that_name_them(helm: Helm, tmp_path: Path) -> None:
    """Helm 3.18 says `- env.0: …`, Helm 4 says `- at '/env/0': …`."""
    for batch in batches():
        said = chart.refusal(helm, {key: value for values, _, _ in batch for key, value in values.items()}, tmp_path)
        for values, path, why in batch:
            names = (f"- {path or '(root)'}: ", f"at '{path and '/' + path.replace('.', '/')}'")
            told = [line for line in said.splitlines() if line.strip().startswith(names[0]) or names[1] in line]
            assert any(why in line for line in told), f"{values}: {said}"


@pytest.mark.parametrize("helm", HELMS, ids=lambda helm: f"helm-{helm.version}")
def test_a_secret_in_plain_text_is_refused(helm: Helm, tmp_path: Path) -> None:
    for name in ("ECR_REFRESHER_AIRFLOW_PASSWORD", "ECR_REFRESHER_AIRFLOW_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        said = chart.refusal(helm, {"env": [{"name": name, "value": "hunter2"}]}, tmp_path)
        assert f"env: {name} is a secret" in said
        assert "valueFrom" in said
        assert "hunter2" not in said
    reference = {"name": "ECR_REFRESHER_AIRFLOW_TOKEN", "valueFrom": {"secretKeyRef": {"name": "x", "key": "token"}}}
    ((_, spec), _) = chart.pods(render(env=[reference]))
    assert reference in spec["containers"][0]["env"]


def test_every_value_is_in_the_schema_and_the_other_way_round() -> None:
    def keys(values: Mapping[str, Any], schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
        if "properties" not in schema or not values:
            return
        assert schema["additionalProperties"] is False, path
        known = set(schema["properties"]) - {"global"}
        if path.startswith(".probes."):
            known -= {"initialDelaySeconds", "successThreshold"}  # Kubernetes' own defaults do
        if path == ".resources":
            known -= {"claims"}
        yield from (f"{path}.{key}" for key in known ^ set(values))
        for key, value in values.items():
            if isinstance(value, dict):
                yield from keys(value, schema["properties"][key], f"{path}.{key}")

    assert list(keys(VALUES, SCHEMA)) == []


def test_readme_is_what_the_comments_in_values_say() -> None:
    assert (CHART / "README.md").read_text() == chart_made.readme(), "run `make docs`"


def test_the_schema_of_config_is_that_of_the_settings() -> None:
    assert (CHART / "values.schema.json").read_text() == chart_made.schema(), "run `make docs`"


def test_every_value_is_explained() -> None:
    explained = {key for key, _, comment in chart_made.values() if comment}
    assert {"mode", "config", "probes.startup.enabled", "sidecar.runAsGroup", "grafanaDashboard.labels"} <= explained


def test_the_values_that_readme_shows_are_accepted() -> None:
    shown = re.findall(r"^```yaml\n(.*?)^```", (CHART / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    of_chart = [values for values in map(yaml.safe_load, shown) if set(values) <= set(VALUES)]
    assert len(of_chart) >= 3
    for values in of_chart:
        assert render(None, **values) or values["mode"] == "none"
