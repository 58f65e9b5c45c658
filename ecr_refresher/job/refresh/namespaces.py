"""Namespaces that a label selector stands for: asked for at each pass over their secrets, since they come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from ...core import wire
from ...core.model import Failed, Failure
from ...core.plan import KubernetesSecret, Plan

List = Callable[[KubernetesSecret], tuple[str, ...]]


def wanted(job: wire.Job, plan: Plan) -> bool:
    """Whether the job concerns a secret whose namespaces are given by a selector."""
    if job.orders is None or job.load is not None:
        return any(entry.namespace_selector for entry in plan.kubernetes)
    named = {order.sink for order in job.orders}
    return any(
        entry.sink(namespace) in named
        for entry in plan.kubernetes
        if entry.namespace_selector
        for namespace in entry.places
    )


def resolved(plan: Plan, list_namespaces: List) -> tuple[Plan, dict[KubernetesSecret, Failure]]:
    """The plan with the namespaces that match now; and why others could not be listed, whose last ones stay."""
    failures: dict[KubernetesSecret, Failure] = {}

    def asked(entry: KubernetesSecret) -> KubernetesSecret:
        if entry.namespace_selector is None:
            return entry
        try:
            return replace(entry, namespaces=list_namespaces(entry))
        except Failed as failed:
            failures[entry] = failed.failure
            return entry

    return replace(plan, kubernetes=tuple(map(asked, plan.kubernetes))), failures


def with_orders(job: wire.Job, before: Plan, after: Plan) -> wire.Job:
    """The job with the slots of namespaces that are new; those that are gone drop out by themselves."""
    if job.orders is None or job.load is not None:
        return job
    old = {slot.id for slot in before.slots}
    new: Iterable[wire.Order] = (wire.Order(*slot.id) for slot in after.slots if slot.id not in old)
    return replace(job, orders=(*job.orders, *new))
