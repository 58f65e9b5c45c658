"""The chart, rendered by the real Helm, and what the tests ask of what comes out."""

from __future__ import annotations

import dataclasses
import functools
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from tests.testbed import parts
from tests.testbed.prepare_helm import HELM_4, HELMS, Helm

CHART = parts.REPOSITORY / "helm" / "ecr-refresher"
WAYS = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
KUBERNETES = ("1.29", "1.33", "1.37")
# The Prometheus operator's own kinds: no part of Kubernetes, so of its schemas neither.
OPERATORS = {"PodMonitor", "PrometheusRule"}

Object = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Said:
    """What a Helm said."""

    code: int
    output: str
    errors: str


def run(helm: Helm, *words: str | Path) -> Said:
    """Run one Helm command. It sees no cluster and no configuration of the machine."""
    missing = helm.missing()
    if missing is not None:
        parts.give_up(missing)
    env = {"HOME": "/nonexistent", "HELM_CACHE_HOME": "/nonexistent", "KUBECONFIG": "/dev/null"}
    words = (helm.command, *words)
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, env=env, check=False)
    return Said(done.returncode, done.stdout, done.stderr)


def values_of(way: str) -> Path:
    return CHART / "ci" / f"{way}-values.yaml"


@functools.cache
def template(helm: Helm, way: str | None = None, *sets: str, kubernetes: str = "1.33") -> tuple[Object, ...]:
    """The objects of one rendering; with no way, of the default values."""
    words = ["--values", str(values_of(way))] if way else []
    for one in sets:
        words += ["--set-json", one]
    said = run(helm, "template", "logins", CHART, "--namespace", "data", "--kube-version", kubernetes, *words)
    assert said.code == 0, said.errors
    return tuple(found for found in yaml.safe_load_all(said.output) if found)


def render(way: str | None = None, **values: Any) -> tuple[Object, ...]:
    """As `template`, by Helm 4, with values given as `aws={"region": …}`."""
    return template(HELM_4, way, *(f"{key}={json.dumps(value)}" for key, value in values.items()))


def refusal(helm: Helm, values: Mapping[str, Any], directory: Path) -> str:
    """What a Helm says to values that it must refuse."""
    file = directory / "values.yaml"
    file.write_text(json.dumps(values))
    said = run(helm, "template", "logins", CHART, "--values", file)
    assert said.code != 0, f"{values} should have been refused"
    return said.errors


def only(kind: str, objects: tuple[Object, ...]) -> Object:
    (found,) = (each for each in objects if each["kind"] == kind)
    return found


def pods(objects: tuple[Object, ...]) -> Iterator[tuple[str, Object]]:
    """Every pod spec, and whose it is."""
    for each in objects:
        if each["kind"] == "Pod":
            yield each["metadata"]["name"], each["spec"]
        elif each["kind"] in ("Deployment", "DaemonSet"):
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


def dangling(spec: Object) -> list[str]:
    """What of a pod spec names something that is not in it: volumes and ports, which Kubernetes' schemas don't know."""
    volumes = {volume["name"] for volume in spec.get("volumes", ())}
    found = []
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        mounts = {mount["name"] for mount in container.get("volumeMounts", ())}
        found += [f"{container['name']} mounts {name}" for name in mounts - volumes]
        ports = {port["name"] for port in container.get("ports", ())}
        probed = {probe["httpGet"]["port"] for key, probe in container.items() if key.endswith("Probe")}
        found += [f"{container['name']} is probed at {name}" for name in probed - ports]
    return found


def check_schema(found: Object, version: str) -> None:
    """Raises kubernetes_validate.ValidationError where the object is none of that Kubernetes."""
    if found["kind"] not in OPERATORS:
        kubernetes_validate.validate(found, version, strict=True)


def offences(spec: Object) -> list[str]:
    """What of a pod spec the Pod Security Standard `restricted` would refuse.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    """
    found = [f"{key} is set" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    for volume in spec.get("volumes", ()):
        found += [f"volume {volume['name']} is a {kind}" for kind in volume.keys() - {"name"} - allowed]
    of_pod = spec.get("securityContext", {})
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        own = {**of_pod, **container.get("securityContext", {})}
        capabilities = own.get("capabilities", {})
        wrong = {
            "privileged": own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is not False,
            "runAsNonRoot": own.get("runAsNonRoot") is not True,
            "runAsUser": own.get("runAsUser") == 0,
            "seccompProfile": own.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"),
            "capabilities": "ALL" not in capabilities.get("drop", ())
            or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"},
            "hostPort": any(port.get("hostPort") for port in container.get("ports", ())),
        }
        found += [f"{container['name']}: {what}" for what, is_wrong in wrong.items() if is_wrong]
    return found


__all__ = ["CHART", "HELMS", "HELM_4", "KUBERNETES", "WAYS"]
