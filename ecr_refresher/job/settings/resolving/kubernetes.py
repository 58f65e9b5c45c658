"""Kubernetes pull secrets of the plan: which namespaces get each, and which registries go into it."""

from collections.abc import Sequence

from ....core import plan
from ..problems import Spot
from ..schema.sections import KubernetesEntry
from ..surroundings import Surroundings
from .registries import Registries


def resolve(
    entries: Sequence[KubernetesEntry], at: Spot, registries: Registries, surroundings: Surroundings
) -> tuple[plan.KubernetesSecret, ...]:
    """Make the plan's secrets, and note what is wrong."""
    found = []
    seen: dict[tuple[str, ...], Spot] = {}
    for index, entry in enumerate(entries):
        here = at / index
        if entry.secret is None:
            (here / "secret").error("is missing", "Give the name of the pull secret, e.g. ecr-pull")
        secret = plan.KubernetesSecret(
            secret=entry.secret or "",
            registries=registries.one_for_each_host(entry.registries, here / "registries"),
            namespaces=_namespaces(entry, here, surroundings),
            service_accounts=tuple(entry.service_accounts),
            **entry.model_dump(include={"namespace_selector", "kubeconfig", "required"}),
        )
        for namespace in secret.places:
            first = seen.setdefault((secret.group, namespace, secret.secret), here)
            if first is not here:
                here.error(f"{first} is this very secret", "Put their registries together")
        found.append(secret)
    return tuple(found)


def _namespaces(entry: KubernetesEntry, at: Spot, surroundings: Surroundings) -> tuple[str, ...] | None:
    """The named namespaces, or the pod's own; None if a selector finds them."""
    named = at / "namespaces"
    if entry.namespace_selector is not None:
        if entry.namespaces is not None:
            named.error("can't be combined with namespace_selector", "Remove one of them")
        return None
    if entry.namespaces is not None:
        if not entry.namespaces:
            named.error("is empty", "Name the namespaces, or remove this for the pod's own")
        return tuple(dict.fromkeys(entry.namespaces))
    own = surroundings.pod_namespace()
    if own is None and not at.is_spoiled("namespace_selector"):
        named.error("is missing, and this is not a pod with a namespace of its own", "Name the namespaces")
    return (own or "",)
