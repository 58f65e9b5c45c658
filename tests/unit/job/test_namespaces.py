"""Which namespaces a label selector stands for, and whose they are."""

from __future__ import annotations

from ecr_refresher.core.plan import KubernetesSecret, Plan, Principal, Registry
from ecr_refresher.job.refresh import namespaces

REGISTRIES = tuple(Registry(name, f"{name}.example.com", Principal("ecr", "us-east-1")) for name in ("a", "b"))
HOSTILE = KubernetesSecret("ecr-pull", ("a",), None, namespace_selector="team=data", kubeconfig="/hostile")


def now(*entries: KubernetesSecret, listed: dict[str | None, tuple[str, ...]]) -> list[tuple[str, ...] | None]:
    plan, failures = namespaces.resolved(Plan(REGISTRIES, kubernetes=entries), lambda entry: listed[entry.kubeconfig])
    assert not failures
    return [entry.namespaces for entry in plan.kubernetes]


def test_no_api_server_gets_the_namespaces_that_another_one_s_entry_names() -> None:
    honest = KubernetesSecret("ecr-pull", ("b",), ("jobs",), kubeconfig="/honest")
    assert now(HOSTILE, honest, listed={"/hostile": ("jobs", "more")}) == [("more",), ("jobs",)]


def test_of_two_selectors_the_one_that_had_a_namespace_first_keeps_it() -> None:
    other = KubernetesSecret("ecr-pull", ("b",), ("jobs",), namespace_selector="team=ml", kubeconfig="/other")
    assert now(HOSTILE, other, listed={"/hostile": ("jobs",), "/other": ("jobs", "new")}) == [(), ("jobs", "new")]


def test_secrets_of_two_names_share_a_namespace() -> None:
    other = KubernetesSecret("another", ("b",), None, namespace_selector="team=data", kubeconfig="/hostile")
    assert now(HOSTILE, other, listed={"/hostile": ("jobs",)}) == [("jobs",), ("jobs",)]
