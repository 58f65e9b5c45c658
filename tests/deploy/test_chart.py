"""The chart, by Helm 3 and 4: every way to run gives objects that Kubernetes takes, and does what it promises."""

from __future__ import annotations

import copy
import ipaddress
import itertools
import json
import os
import re
import subprocess
import tarfile
import urllib.request
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from ecr_refresher.core.plan import Plan, SecretRef
from ecr_refresher.job.net import proxies
from tests.deploy import chart
from tests.deploy.chart import CHART, HELM_4, HELMS, KUBERNETES, WAYS, only, pods, render, template
from tests.testbed import parts
from tests.testbed.daemon import Product
from tests.testbed.prepare_helm import Helm
from tests.testbed.processes import free_port, wait_until
from tests.unit.job import settings_reader

pytestmark = pytest.mark.real("helm")
HOST = settings_reader.HOST
each_helm = pytest.mark.parametrize("helm", HELMS, ids=lambda helm: f"helm-{helm.version}")


def settings_of(objects: tuple[chart.Object, ...]) -> str:
    """The settings file of a release."""
    maps = [each["data"] for each in objects if each["kind"] == "ConfigMap"]
    (found,) = (data["settings.yaml"] for data in maps if "settings.yaml" in data)
    return str(found)


def plan_of(objects: tuple[chart.Object, ...]) -> Plan:
    """What the real parser makes of a release's settings and environment; no warning is let pass."""
    (spec,) = (spec for name, spec in pods(objects) if not name.endswith("-check"))
    (container,) = spec["containers"]
    environ = {each["name"]: each.get("value", "") for each in container["env"]}
    assert environ.pop("ECR_REFRESHER_CONFIG") == "/etc/ecr-refresher/settings.yaml"
    plan, warnings = settings_reader.load(settings_of(objects), environ, euid=spec["securityContext"]["runAsUser"])
    assert [warning for warning in warnings if "http" not in warning] == []
    return plan


@each_helm
def test_lint_has_nothing_to_say(helm: Helm) -> None:
    ways = [chart.values_of(way) for way in WAYS]
    said = [chart.run(helm, "lint", "--strict", CHART)]
    said += [chart.run(helm, "lint", "--strict", CHART, "--values", values) for values in ways]
    assert [each for each in said if each.code or "[WARN" in each.output or "[ERROR" in each.output] == []


@each_helm
@pytest.mark.parametrize("way", [None, *WAYS])
def test_every_way_gives_what_kubernetes_takes(helm: Helm, way: str | None) -> None:
    for version in KUBERNETES:
        objects = template(helm, way, kubernetes=version)
        names = {(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in objects}
        assert len(names) == len(objects)
        if helm is HELM_4:  # what the other gives is the same, as the next test says
            for each in objects:
                chart.check_schema(each, version)
    assert {name: chart.dangling(spec) for name, spec in pods(objects) if chart.dangling(spec)} == {}


@pytest.mark.parametrize("way", [None, *WAYS])
def test_both_helms_give_the_same(way: str | None) -> None:
    one, other = (template(helm, way) for helm in HELMS)
    assert one == other


def test_an_older_kubernetes_is_refused() -> None:
    said = chart.run(HELM_4, "template", "logins", CHART, "--kube-version", "1.28.9")
    assert said.code != 0
    assert ">=1.29" in said.errors


def test_the_check_of_schemas_would_find_a_wrong_field() -> None:
    deployment = copy.deepcopy(only("Deployment", render("publisher")))
    deployment["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenesProbe"):
        chart.check_schema(deployment, "1.33")
    spec = {"containers": [{"name": "a", "volumeMounts": [{"name": "b"}], "xProbe": {"httpGet": {"port": "c"}}}]}
    assert chart.dangling(spec) == ["a mounts b", "a is probed at c"]


# --- what runs


@pytest.mark.parametrize("way", [None, "publisher", "publisher-full", "publisher-bare"])
def test_publishers_fit_the_restricted_pod_security_standard(way: str | None) -> None:
    found = list(pods(render(way)))
    assert len(found) == 2, "the publisher and the test hook"
    for _, spec in found:
        assert chart.offences(spec) == []


def test_the_check_of_pod_security_would_find_the_node_s_pod() -> None:
    ((_, spec),) = pods(render("node"))
    found = chart.offences(spec)
    assert {"volume socket is a hostPath", "ecr-refresher: runAsNonRoot", "ecr-refresher: runAsUser"} <= set(found)


@pytest.mark.parametrize("way", [None, *(way for way in WAYS if way != "none")])
def test_every_pod_is_lean_and_tells_its_probes(way: str | None) -> None:
    for name, spec in pods(render(way)):
        assert spec["enableServiceLinks"] is False
        assert spec["automountServiceAccountToken"] is (way == "publisher-kubernetes")
        (container,) = spec["containers"]
        assert container["resources"]["limits"] == {"memory": "160Mi"}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert not any("subPath" in mount for mount in container["volumeMounts"]), "such a mount never changes"
        if not name.endswith("-check"):
            environ = {each["name"]: each.get("value") for each in container["env"]}
            host, _, port = (environ["ECR_REFRESHER_LISTEN"] or "").rpartition(":")
            assert host == "", "the kubelet and Prometheus come by IPv4 or IPv6"
            assert container["ports"] == [{"name": "http", "containerPort": int(port)}]


def test_the_daemon_answers_probes_by_ipv4_and_by_ipv6(product: Product, tmp_path: Path) -> None:
    port = free_port()
    container = only("Deployment", render(port=port))["spec"]["template"]["spec"]["containers"][0]
    environ = {each["name"]: each.get("value", "") for each in container["env"]}
    settings = {"registries": [HOST], "docker": {"config_file": str(tmp_path / "config.json")}}
    listen = environ["ECR_REFRESHER_LISTEN"]
    product.start_daemon(settings, port=port, env={"ECR_REFRESHER_LISTEN": listen})
    for host in ("127.0.0.1", "[::1]"):
        with urllib.request.urlopen(f"http://{host}:{port}{container['livenessProbe']['httpGet']['path']}") as answer:
            assert answer.status == 200


def test_startup_and_liveness_are_probed_and_readiness_where_asked_for() -> None:
    def probes(**values: Any) -> dict[str, Any]:
        container = only("Deployment", render(**values))["spec"]["template"]["spec"]["containers"][0]
        return {key: value["httpGet"] for key, value in container.items() if key.endswith("Probe")}

    assert probes() == {
        "startupProbe": {"path": "/startupz", "port": "http", "scheme": "HTTP"},
        "livenessProbe": {"path": "/livez", "port": "http", "scheme": "HTTP"},
    }
    assert probes(probes={"readiness": {"enabled": True}})["readinessProbe"]["path"] == "/readyz"
    tls = {"server": {"tls_cert": "/etc/tls/tls.crt", "tls_key": "/etc/tls/tls.key"}}
    assert {get["scheme"] for get in probes(config=tls).values()} == {"HTTPS"}


def test_the_user_is_the_image_s_own_and_airflow_s() -> None:
    (image_user,) = re.findall(r"^USER (\d+:\d+)$", (parts.REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    security = only("Deployment", render())["spec"]["template"]["spec"]["securityContext"]
    assert f"{security['runAsUser']}:{security['runAsGroup']}" == image_user == "50000:0"


def test_the_startup_probe_is_more_patient_than_startupz() -> None:
    container = only("Deployment", render())["spec"]["template"]["spec"]["containers"][0]
    probe = container["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] > 60


def test_irsa_is_an_annotation_and_pod_identity_needs_none() -> None:
    irsa = only("ServiceAccount", render("publisher"))["metadata"]["annotations"]
    assert irsa == {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/ecr-refresher"}
    assert "annotations" not in only("ServiceAccount", render())["metadata"]
    assert only("ServiceAccount", render("publisher-full"))["metadata"]["annotations"] == {"team": "data"}


def test_a_secret_is_mounted_by_reference_for_its_group_only() -> None:
    (_, spec), _ = pods(render("publisher-full"))
    (secret,) = (volume["secret"] for volume in spec["volumes"] if volume["name"] == "secrets")
    assert secret == {"secretName": "airflow-login", "defaultMode": 0o440, "optional": True}
    assert not any(each["kind"] == "Secret" for way in WAYS for each in render(way))


def test_what_selects_pods_selects_those_of_the_daemon_and_not_the_hook_s() -> None:
    objects = render("publisher-full")
    of_daemon = only("Deployment", objects)["spec"]["template"]["metadata"]["labels"].items()
    of_hook = only("Pod", objects)["metadata"]["labels"].items()
    selectors = [
        only("Deployment", objects)["spec"]["selector"]["matchLabels"],
        only("PodDisruptionBudget", objects)["spec"]["selector"]["matchLabels"],
        only("NetworkPolicy", objects)["spec"]["podSelector"]["matchLabels"],
        only("PodMonitor", objects)["spec"]["selector"]["matchLabels"],
        only("Deployment", objects)["spec"]["template"]["spec"]["topologySpreadConstraints"][0]["labelSelector"][
            "matchLabels"
        ],
    ]
    for selector in selectors:
        assert selector.items() <= of_daemon
        assert not selector.items() <= of_hook


def test_monitors_rules_and_dashboards_are_off_until_asked_for() -> None:
    kinds = sorted(each["kind"] for each in render())
    assert kinds == ["ConfigMap", "Deployment", "NetworkPolicy", "Pod", "PodDisruptionBudget", "ServiceAccount"]
    assert sorted(each["kind"] for each in render("none")) == ["ConfigMap", "PrometheusRule"]


def test_the_network_policy_closes_the_way_out_only_where_asked_for() -> None:
    assert only("NetworkPolicy", render())["spec"]["policyTypes"] == ["Ingress"]
    spec = only("NetworkPolicy", render("publisher-full"))["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    anywhere, metadata = spec["egress"]
    assert "to" not in anywhere
    assert {(port["port"], port["protocol"]) for port in anywhere["ports"]} == {
        *((port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")),
        (443, "TCP"),
    }
    assert metadata["ports"] == [{"port": 80, "protocol": "TCP"}]
    allowed = {ipaddress.ip_network(peer["ipBlock"]["cidr"]) for peer in metadata["to"]}
    elsewhere = {"169.254.170.2"}  # ECS
    wanted = {address.strip("[]") for address in proxies.METADATA} - elsewhere
    assert allowed == {ipaddress.ip_network(address) for address in wanted}
    assert spec["ingress"][0]["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    ]


# --- its settings


@pytest.mark.parametrize("way", [None, *(way for way in WAYS if way != "none")])
def test_the_settings_of_every_way_are_accepted_by_the_real_parser(way: str | None) -> None:
    plan = plan_of(render(way))
    assert plan.server.host == "", "every interface, IPv6 and IPv4"
    assert bool(plan.dockers) == str(way).startswith("node")
    assert bool(plan.airflows) == (not str(way).startswith("node") and not plan.kubernetes)


def test_without_settings_a_publisher_serves_the_official_chart_beside_it() -> None:
    (airflow,) = plan_of(render()).airflows
    assert (airflow.url, airflow.username) == ("http://airflow-api-server:8080", "ecr-refresher")
    assert airflow.password == SecretRef("file", "/run/secrets/ecr-refresher/password")
    (_, spec), _ = pods(render())
    mounts = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    assert mounts == {"settings": "/etc/ecr-refresher", "secrets": "/run/secrets/ecr-refresher"}


def test_a_node_s_daemon_writes_only_where_docker_is(product: Product, tmp_path: Path) -> None:
    """The node's own rendering, its mounts laid out below a directory: on a containerd-only node it says so, loudly."""
    ((_, spec),) = pods(render("node", config={"registries": [HOST]}))
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in spec["volumes"] if "hostPath" in volume}
    assert paths == {"socket": "/run", "docker-config": "/root/.docker"}
    (tmp_path / "run").mkdir()
    settings = settings_of(render("node", config={"registries": [HOST]})).replace("/host/", f"{tmp_path}/")
    assert settings.count(str(tmp_path)) == 2
    done = product.run_cli("once", settings=settings)
    assert done.exit_code == 1
    (failed,) = (line for line in done.logs() if line["event"] == "delivery_failed")
    assert failed["reason"] == "missing"
    assert "there is no Docker engine at unix://" in failed["error"]
    assert not [line for line in done.logs() if line["event"].startswith("token_fetch")], "no token for nobody"
    assert os.listdir(tmp_path / "run") == []
    assert not (tmp_path / "docker-config").exists()


def test_the_hook_s_command_tries_the_legs_of_the_release_s_settings(product: Product, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("wrong")
    airflow = {"url": "http://127.0.0.1:9", "username": "x", "password_file": str(tmp_path / "password")}
    objects = render(config={"registries": [HOST], "airflow": airflow})
    (container,) = only("Pod", objects)["spec"]["containers"]
    done = product.run_cli(*container["args"], settings=settings_of(objects))
    assert done.exit_code == 1, "nothing answers there"
    assert "http://127.0.0.1:9" in done.stdout


def test_a_node_s_cleanup_has_socket_data_and_memory() -> None:
    objects = render("node")
    ((_, spec),) = pods(objects)
    places = {mount["mountPath"]: mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
    on_node = {volume["name"]: volume.get("hostPath", {}).get("path") for volume in spec["volumes"]}
    assert on_node[places["/host/docker-data"]] == "/var/lib/docker"
    assert on_node[places["/host/state"]] == "/var/lib/ecr-refresher"
    cleanup = plan_of(objects).cleanup
    assert (cleanup.enabled, cleanup.every) == (True, 300)
    assert cleanup.engine.url == "unix:///host/run/docker.sock"
    assert (cleanup.data_root, cleanup.state_file) == ("/host/docker-data", "/host/state/cleanup.json")
    own = {"enabled": True, "engine": "unix:///host/run/other.sock"}
    assert plan_of(render("node", config={"registries": [HOST], "cleanup": own})).cleanup.engine.url == own["engine"]


def test_a_changed_config_map_is_taken_over_without_a_restart(product: Product, tmp_path: Path) -> None:
    """The ConfigMap's volume as the kubelet lays it out: a link to a directory, exchanged at once."""
    volume = tmp_path / "etc"
    revision = itertools.count()

    def publish(**config: Any) -> None:
        one = volume / f"..{next(revision)}"
        one.mkdir(parents=True)
        config |= {"docker": {"config_file": str(tmp_path / "config.json")}, "registries": [HOST]}
        (one / "settings.yaml").write_text(settings_of(render("node", config=config)))
        (volume / "..new").symlink_to(one.name)
        (volume / "..new").rename(volume / "..data")
        if not (volume / "settings.yaml").is_symlink():
            (volume / "settings.yaml").symlink_to("..data/settings.yaml")

    publish()
    daemon = product.start_daemon(env={"ECR_REFRESHER_CONFIG": str(volume / "settings.yaml")})
    daemon.wait_for(lambda status: status["slots"])
    pid = daemon.pid
    publish(registries=[HOST], refresh={"prove": False})
    reloads = "ecr_refresher_config_reloads_total"
    wait_until(lambda: daemon.metrics().value(reloads, result="success") == 1, 90, "the new settings")
    assert (daemon.pid, daemon.running) == (pid, True)


# --- what it carries


def test_rule_and_dashboard_are_the_files_of_deploy() -> None:
    objects = template(HELM_4, "none")
    alerts = yaml.safe_load((parts.REPOSITORY / "deploy/prometheus/alerts.yaml").read_text())
    assert only("PrometheusRule", objects)["spec"] == alerts
    dashboard = json.loads((parts.REPOSITORY / "deploy/grafana/dashboard.json").read_text())
    assert json.loads(only("ConfigMap", objects)["data"]["ecr-refresher.json"]) == dashboard
    assert only("ConfigMap", objects)["metadata"]["labels"]["grafana_dashboard"] == "1"


@each_helm
def test_the_package_holds_all_that_the_templates_read(helm: Helm, tmp_path: Path) -> None:
    said = chart.run(helm, "package", CHART, "--destination", tmp_path)
    assert said.code == 0, said.errors
    (archive,) = tmp_path.glob("*.tgz")
    with tarfile.open(archive) as package:
        names = {name.removeprefix("ecr-refresher/") for name in package.getnames()}
    assert {
        "files/alerts.yaml",
        "files/dashboard.json",
        "values.schema.json",
        "README.md",
        "templates/NOTES.txt",
    } <= names
    assert not any(name.startswith("ci/") for name in names)
    again = chart.run(helm, "template", "logins", archive, "--values", chart.values_of("none"))
    assert tuple(yaml.safe_load_all(again.output)) == template(helm, "none", kubernetes="1.33")


def test_the_notes_tell_what_comes_next(tmp_path: Path) -> None:
    def notes(way: str | None) -> str:
        words = ["--values", str(chart.values_of(way))] if way else []
        said = chart.run(HELM_4, "install", "logins", CHART, "--dry-run=client", "--namespace", "data", *words)
        assert said.code == 0, said.errors
        return said.output.partition("NOTES:")[2]

    assert "create secret generic ecr-refresher-airflow --from-literal=password=" in notes(None)
    assert "helm --namespace data test logins --logs" in notes(None)
    assert "create-pod-identity-association" in notes(None)
    assert "create-pod-identity-association" not in notes("publisher")
    assert "A NODE WITHOUT DOCKER" in notes("node")
    assert "Nothing runs" in notes("none")


def test_the_versions_are_the_product_s() -> None:
    said = yaml.safe_load((CHART / "Chart.yaml").read_text())
    from ecr_refresher import __version__

    assert (said["version"], said["appVersion"]) == (__version__, __version__)


def test_git_keeps_one_copy_of_what_chart_and_deploy_share() -> None:
    for link in ("deploy/prometheus/alerts.yaml", "deploy/grafana/dashboard.json"):
        target = os.readlink(parts.REPOSITORY / link)
        assert (parts.REPOSITORY / link).parent.joinpath(target).resolve().parent == CHART / "files"


def test_the_chart_s_files_are_seen_by_git() -> None:
    """A .gitignore that swallowed one would break only other people's clones."""
    files = [str(path) for path in CHART.rglob("*") if path.is_file()]
    done = subprocess.run(["git", "check-ignore", *files], cwd=parts.REPOSITORY, capture_output=True, check=False)
    assert done.stdout == b""
