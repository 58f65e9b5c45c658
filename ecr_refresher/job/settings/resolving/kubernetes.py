"""Kubernetes pull secrets of the plan: which namespaces get each, and which registries go into it."""

from __future__ import annotations

from collections.abc import Sequence

from ....core import plan
from ..problems import Place, Problems
from ..schema.sections import KubernetesEntry
from ..surroundings import Surroundings
from .registries import Registries


def resolve(
    entries: Sequence[KubernetesEntry], registries: Registries, surroundings: Surroundings, problems: Problems
) -> tuple[plan.KubernetesSecret, ...]:
    """Make the plan's secrets; what is wrong with them goes to `problems`."""
    found = []
    seen: dict[tuple[str, ...], Place] = {}
    for index, entry in enumerate(entries):
        place: Place = ("kubernetes", index)
        if entry.secret is None:
            problems.error((*place, "secret"), "is missing", "Give the name of the pull secret, e.g. ecr-pull")
        secret = plan.KubernetesSecret(
            secret=entry.secret or "",
            registries=registries.one_for_each_host(entry.registries, (*place, "registries")),
            namespaces=_namespaces(entry, place, surroundings, problems),
            namespace_selector=entry.namespace_selector,
            service_accounts=tuple(entry.service_accounts),
            kubeconfig=entry.kubeconfig,
            required=entry.required,
        )
        for namespace in secret.places:
            first = seen.setdefault((secret.group, namespace, secret.secret), place)
            if first is not place:
                problems.error(place, f"{problems.show(first)} is this very secret", "Put their registries together")
        found.append(secret)
    return tuple(found)


def _namespaces(
    entry: KubernetesEntry, place: Place, surroundings: Surroundings, problems: Problems
) -> tuple[str, ...] | None:
    """The namespaces that are named, or the pod's own; None where a selector finds them."""
    there = (*place, "namespaces")
    if entry.namespace_selector is not None:
        if entry.namespaces is not None:
            problems.error(there, "does not go with namespace_selector", "Remove one of them")
        return None
    if entry.namespaces is not None:
        if not entry.namespaces:
            problems.error(there, "is empty", "Name the namespaces, or remove this for the pod's own")
        return tuple(dict.fromkeys(entry.namespaces))
    own = surroundings.pod_namespace()
    if own is None and not problems.is_spoiled((*place, "namespace_selector")):
        problems.error(there, "is missing, and this is not a pod, which has a namespace of its own", "Name them")
    return (own or "",)
