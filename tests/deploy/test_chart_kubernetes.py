"""Pull secrets by the chart: the settings, the least rights in each namespace, and a token only where one is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy import chart
from tests.deploy.chart import pods, render
from tests.deploy.test_chart import plan_of

pytestmark = pytest.mark.real("helm")
ENTRY = {"secret": "ecr-pull", "namespaces": ["airflow", "jobs"], "service_accounts": ["worker"]}
CONFIG = {"registries": ["123456789012.dkr.ecr.us-east-1.amazonaws.com"], "airflow": []}
RBAC = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
LEAST = [
    {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["ecr-pull"], "verbs": ["get", "patch"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["worker"], "verbs": ["get", "patch"]},
]


def of_kind(objects: tuple[chart.Object, ...], kind: str) -> list[chart.Object]:
    return [each for each in objects if each["kind"] == kind]


def mounts_token(objects: tuple[chart.Object, ...]) -> bool:
    (spec,) = (spec for name, spec in pods(objects) if not name.endswith("-check"))
    return bool(spec["automountServiceAccountToken"])


def test_each_namespace_gets_the_least_rights_and_the_daemon_the_settings() -> None:
    objects = render("publisher", config=CONFIG, kubernetes=[ENTRY])
    roles = of_kind(objects, "Role")
    assert [role["metadata"]["namespace"] for role in roles] == ["airflow", "jobs"]
    assert [role["rules"] for role in roles] == [LEAST, LEAST]
    for binding in of_kind(objects, "RoleBinding"):
        (subject,) = binding["subjects"]
        (account,) = of_kind(objects, "ServiceAccount")
        assert (subject["name"], subject["namespace"]) == (account["metadata"]["name"], "data")
    assert of_kind(objects, "ClusterRole") == []
    assert mounts_token(objects)
    (secret,) = plan_of(objects).kubernetes
    assert (secret.secret, secret.namespaces, secret.service_accounts) == ("ecr-pull", ("airflow", "jobs"), ("worker",))


def test_only_a_selector_asks_for_rights_in_the_whole_cluster() -> None:
    objects = render("publisher", config=CONFIG, kubernetes=[{"secret": "ecr-pull", "namespace_selector": "team=data"}])
    (role,) = of_kind(objects, "ClusterRole")
    assert role["rules"] == [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]}, *LEAST[:2]]
    assert of_kind(objects, "Role") == []


def test_without_namespaces_it_is_the_release_s_own() -> None:
    (role,) = of_kind(render("publisher", config=CONFIG, kubernetes=[{"secret": "ecr-pull"}]), "Role")
    assert role["metadata"]["namespace"] == "data"


@pytest.mark.parametrize(
    "values",
    [{}, {"kubernetes": [{**ENTRY, "kubeconfig": "/etc/kube/config"}]}],
    ids=["no pull secret", "a kubeconfig of its own"],
)
def test_no_rights_and_no_token_where_the_service_account_keeps_no_secret(values: dict[str, Any]) -> None:
    objects = render("publisher", config=CONFIG, **values)
    assert [each["kind"] for each in objects if each["kind"] in RBAC] == []
    assert not mounts_token(objects)
