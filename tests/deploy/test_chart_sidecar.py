"""The sidecar: what the chart's templates give to other charts, and the values for the official Airflow chart."""

from __future__ import annotations

import json
import re
import shutil
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecr_refresher.job.settings import SettingsError
from tests.deploy import chart
from tests.deploy.chart import CHART, HELM_4, HELMS, KUBERNETES
from tests.testbed import parts
from tests.testbed.prepare_helm import Helm
from tests.unit.job import settings_reader

pytestmark = pytest.mark.real("helm")
HOST = settings_reader.HOST
EXAMPLES = parts.REPOSITORY / "examples"
CONFIG = "/home/airflow/.docker/config.json"

# A chart that depends on ours, with what its pods take from ours' templates.
PARENT = """\
{{- with index .Subcharts "ecr-refresher" }}
apiVersion: v1
kind: Pod
metadata: {name: celery}
spec:
  initContainers:
    {{- include "ecr-refresher.sidecar" . | nindent 4 }}
  containers:
    - name: worker
      image: apache/airflow
      volumeMounts:
        {{- include "ecr-refresher.volumeMounts" . | nindent 8 }}
  volumes:
    {{- include "ecr-refresher.volumes" . | nindent 4 }}
---
apiVersion: v1
kind: Pod
metadata: {name: kubernetes}
spec:
  initContainers:
    {{- include "ecr-refresher.once" . | nindent 4 }}
  containers:
    - name: base
      image: apache/airflow
      volumeMounts:
        {{- include "ecr-refresher.volumeMounts" . | nindent 8 }}
  volumes:
    {{- include "ecr-refresher.volumes" . | nindent 4 }}
{{- end }}
"""


def of_parent(helm: Helm, directory: Path, pods: str = PARENT, **values: Any) -> dict[str, dict[str, Any]]:
    """The pod specs of that chart by name."""
    parent = directory / "parent"
    (parent / "templates").mkdir(parents=True)
    (parent / "templates" / "pods.yaml").write_text(pods)
    described: dict[str, Any] = {"apiVersion": "v2", "name": "parent", "version": "1.0.0"}
    described |= {"dependencies": [{"name": "ecr-refresher", "version": "*", "repository": f"file://{CHART}"}]}
    (parent / "Chart.yaml").write_text(json.dumps(described))
    shutil.copytree(CHART, parent / "charts" / "ecr-refresher")
    (parent / "values.yaml").write_text(json.dumps({"ecr-refresher": {"mode": "none", **values}}))
    said = chart.run(helm, "template", "logins", parent)
    assert said.code == 0, said.errors
    return {each["metadata"]["name"]: each["spec"] for each in yaml.safe_load_all(said.output)}


def airflow_pods(workers: dict[str, Any]) -> dict[str, Any]:
    """A worker's pod as the official chart makes it of its values, as far as these matter: what is given to it is put
    behind its own init containers, mounts and volumes (templates/workers/worker-deployment.yaml, and
    files/pod-template-file.kubernetes-helm-yaml, chart 1.18 to 1.22)."""
    own = {"name": "logs", "mountPath": "/opt/airflow/logs"}
    security = {"runAsUser": 50000, "runAsGroup": 0}
    image = {"image": "apache/airflow:3.2.2", "securityContext": {"allowPrivilegeEscalation": False}}
    return {
        "securityContext": {**security, "fsGroup": 0},
        "initContainers": [
            {"name": "wait-for-airflow-migrations", **image, "volumeMounts": [own, *workers["extraVolumeMounts"]]},
            *workers["extraInitContainers"],
        ],
        "containers": [{"name": "worker", **image, "volumeMounts": [*workers["extraVolumeMounts"], own]}],
        "volumes": [{"name": "logs", "emptyDir": {}}, *workers["extraVolumes"]],
    }


def example(name: str, *path: str) -> dict[str, Any]:
    """The values of an example below that path, which must be all that the file sets."""
    loaded = yaml.safe_load((EXAMPLES / name).read_text())
    for key in path:
        assert set(loaded) == {key}
        loaded = loaded[key]
    return dict(loaded)


CURRENT = example("airflow-chart-values.yaml", "workers")
BEFORE = example("airflow-chart-values-before-1.21.yaml", "workers")
LOCAL = example("airflow-chart-values-local-executor.yaml", "scheduler")
COMMUNITY = example("airflow-community-chart-values.yaml")
KEYS = {"extraInitContainers", "extraVolumes", "extraVolumeMounts"}
SHOWN = {".yaml", ".tpl", ".json", ".md", ".tf", ".service", ".conf"}
EXAMPLE_PODS = {
    "celery": airflow_pods(CURRENT["celery"]),
    "kubernetes": airflow_pods(CURRENT["kubernetes"]),
    "before-1.21": airflow_pods(BEFORE),
    "local-executor": airflow_pods(LOCAL),
}


def ours(spec: dict[str, Any]) -> dict[str, Any]:
    (container,) = (each for each in spec["initContainers"] if each["name"] == "ecr-refresher")
    return dict(container)


def without_anchors(written: Any) -> Any:
    return json.loads(json.dumps(written))


@pytest.mark.parametrize("helm", HELMS, ids=lambda helm: f"helm-{helm.version}")
def test_the_example_s_containers_are_what_the_templates_give(helm: Helm, tmp_path: Path) -> None:
    specs = of_parent(helm, tmp_path, sidecar={"registries": [HOST]})
    assert set(CURRENT) == {"celery", "kubernetes"}
    for name, spec in specs.items():
        written = CURRENT[name]
        assert set(written) == KEYS
        assert spec["initContainers"] == without_anchors(written["extraInitContainers"])
        assert spec["volumes"] == without_anchors(written["extraVolumes"])
        assert spec["containers"][0]["volumeMounts"] == without_anchors(written["extraVolumeMounts"])
    assert without_anchors(BEFORE) == without_anchors(LOCAL) == without_anchors(CURRENT["celery"])
    assert set(COMMUNITY) == {"workers", "airflow"}
    assert without_anchors(COMMUNITY["workers"]) == without_anchors(CURRENT["celery"])
    assert set(COMMUNITY["airflow"]) == {"kubernetesPodTemplate"}
    assert without_anchors(COMMUNITY["airflow"]["kubernetesPodTemplate"]) == without_anchors(CURRENT["kubernetes"])


def test_the_network_policy_opens_the_sidecar_s_port_of_the_chart_s_pods() -> None:
    policy = yaml.safe_load((EXAMPLES / "airflow-networkpolicy.yaml").read_text())
    for version in KUBERNETES:
        chart.check_schema(policy, version)
    (port,) = policy["spec"]["ingress"][0]["ports"]
    assert port["port"] in {each["containerPort"] for each in ours(EXAMPLE_PODS["celery"])["ports"]}
    monitor = yaml.safe_load((parts.REPOSITORY / "deploy" / "prometheus" / "scrape-podmonitor.yaml").read_text())
    assert monitor["spec"]["selector"]["matchLabels"].items() <= policy["spec"]["podSelector"]["matchLabels"].items()


def test_the_page_shows_how_own_entries_stay_in_the_lists() -> None:
    page = (parts.REPOSITORY / "docs" / "sidecar.md").read_text()
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    merged = yaml.safe_load(shown)["workers"]["celery"]
    for key in ("extraInitContainers", "extraVolumes"):
        own, from_example = merged[key]
        (written,) = CURRENT["celery"][key]
        assert own["name"] != written["name"]
        assert from_example.items() <= without_anchors(written).items()


def test_what_readme_shows_a_chart_of_one_s_own_gives_the_same(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```gotemplate\n(.*?)^```", (CHART / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: own}\nspec:\n" + textwrap.indent(shown, "  ")
    spec = of_parent(HELM_4, tmp_path, pod, sidecar={"registries": [HOST]})["own"]
    assert spec["initContainers"] == without_anchors(CURRENT["celery"]["extraInitContainers"])
    assert spec["volumes"] == without_anchors(CURRENT["celery"]["extraVolumes"])
    assert chart.dangling(spec) == []
    chart.check_schema({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "own"}, "spec": spec}, "1.33")


@pytest.mark.parametrize("name", EXAMPLE_PODS)
def test_kubernetes_takes_the_example_within_a_worker_s_pod(name: str) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "worker"}, "spec": EXAMPLE_PODS[name]}
    for version in KUBERNETES:
        chart.check_schema(without_anchors(pod), version)
    assert chart.dangling(EXAMPLE_PODS[name]) == []


@pytest.mark.parametrize("name", EXAMPLE_PODS)
def test_the_sidecar_fits_the_restricted_standard_whatever_the_pod_says(name: str) -> None:
    spec = EXAMPLE_PODS[name]
    alone = {"initContainers": [], "containers": [ours(spec)], "volumes": spec["volumes"]}
    assert chart.offences(alone) == []


@pytest.mark.parametrize("name", EXAMPLE_PODS)
def test_the_worker_reads_what_the_sidecar_writes_as_the_same_user(name: str) -> None:
    spec, sidecar = EXAMPLE_PODS[name], ours(EXAMPLE_PODS[name])
    (mount,) = sidecar["volumeMounts"]
    assert mount in spec["containers"][0]["volumeMounts"]
    assert f"{mount['mountPath']}/config.json" == CONFIG
    user = {key: sidecar["securityContext"][key] for key in ("runAsUser", "runAsGroup")}
    assert user.items() <= spec["securityContext"].items()
    assert any(volume["name"] == mount["name"] and "emptyDir" in volume for volume in spec["volumes"])


@pytest.mark.parametrize("name", EXAMPLE_PODS)
def test_the_sidecar_s_environment_is_accepted_and_does_the_docker_login_only(name: str) -> None:
    environ = {each["name"]: each["value"] for each in ours(EXAMPLE_PODS[name])["env"]}
    plan, warnings = settings_reader.load(None, environ, euid=50000)
    assert warnings == ()
    assert [slot.sink for slot in plan.slots] == [f"docker/{CONFIG}"]
    assert [registry.host for registry in plan.registries] == [HOST]
    if "ports" in ours(EXAMPLE_PODS[name]):
        assert plan.server.host == "", "the kubelet and Prometheus come by IPv4 or IPv6"


@pytest.mark.parametrize("directory", ["helm", "examples", "deploy", "docs"])
def test_nothing_that_is_shown_listens_on_ipv4_alone(directory: str) -> None:
    files = [path for path in (parts.REPOSITORY / directory).rglob("*") if path.suffix in SHOWN and path.is_file()]
    assert files
    assert [path for path in files if re.search(r"(?<![\d.])0\.0\.0\.0(?![\d./])", path.read_text())] == []


def test_the_page_s_command_tells_a_chart_that_ignores_the_values() -> None:
    page = (parts.REPOSITORY / "docs" / "sidecar.md").read_text()
    (counted,) = re.findall(r"^helm get manifest airflow \| grep -c '(.*)'$", page, re.MULTILINE)
    ignored = airflow_pods({key: [] for key in KEYS})
    assert len(re.findall(counted, yaml.safe_dump(EXAMPLE_PODS["celery"]))) > 0
    assert len(re.findall(counted, yaml.safe_dump(ignored))) == 0


def test_a_native_sidecar_renews_and_a_short_pod_logs_in_once() -> None:
    assert (ours(EXAMPLE_PODS["celery"])["restartPolicy"], ours(EXAMPLE_PODS["celery"])["args"]) == ("Always", ["run"])
    once = ours(EXAMPLE_PODS["kubernetes"])
    assert once["args"] == ["once"]
    assert not {"restartPolicy", "ports", "startupProbe", "livenessProbe", "readinessProbe"} & set(once)


def test_publishing_from_a_sidecar_is_opt_in_by_settings_of_one_s_own(tmp_path: Path) -> None:
    specs = of_parent(HELM_4, tmp_path, sidecar={"existingConfigMap": "settings", "existingSecret": "login"})
    for name, spec in specs.items():
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        for version in KUBERNETES:
            chart.check_schema(pod, version)
        assert chart.dangling(spec) == []
        sidecar = ours(spec)
        environ = {each["name"]: each["value"] for each in sidecar["env"]}
        assert environ.pop("ECR_REFRESHER_CONFIG") == "/etc/ecr-refresher/settings.yaml"
        assert {mount["mountPath"] for mount in sidecar["volumeMounts"]} == {
            "/home/airflow/.docker",
            "/etc/ecr-refresher",
            "/run/secrets/ecr-refresher",
        }
        settings = {"registries": [HOST], "airflow": settings_reader.airflow(url="https://airflow.example.com")}
        plan, _ = settings_reader.load(settings, environ)
        assert [slot.sink for slot in plan.slots] == [f"docker/{CONFIG}", "airflow/default/docker_default"]


def test_the_reader_of_settings_would_refuse_a_wrong_environment() -> None:
    with pytest.raises(SettingsError):
        settings_reader.load(None, {"ECR_REFRESHER_REGISTRIES": "docker.io"})
