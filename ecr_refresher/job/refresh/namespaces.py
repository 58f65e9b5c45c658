"""Namespaces that a label selector stands for: asked for at each pass over their secrets, since they come and go."""

from collections.abc import Callable

from msgspec.structs import replace

from ... import logs
from ...core import wire
from ...core.model import Failed, Failure
from ...core.plan import KubernetesSecret, Plan
from ..blocking import failure_of


def wanted(job: wire.Job, plan: Plan) -> bool:
    """Whether the job concerns a secret whose namespaces are given by a selector."""
    selected = [entry for entry in plan.kubernetes if entry.namespace_selector]
    if job.orders is None or job.load is not None:
        return bool(selected)
    named = {order.sink for order in job.orders}
    return any(entry.sink(namespace) in named for entry in selected for namespace in entry.places)


def resolved(
    plan: Plan, list_namespaces: Callable[[KubernetesSecret], tuple[str, ...]]
) -> tuple[Plan, dict[KubernetesSecret, Failure]]:
    """The plan with the namespaces that match now; and why others could not be listed, whose last ones stay.

    A secret of one namespace belongs to the entry that had it first: an API server that names another cluster's
    namespaces must not get the logins that are meant for that one.
    """
    failures: dict[KubernetesSecret, Failure] = {}
    owners = {
        entry.sink(namespace): number
        for number, entry in reversed(list(enumerate(plan.kubernetes)))
        for namespace in entry.namespaces or ()
    }
    entries = list(plan.kubernetes)
    for number, entry in enumerate(plan.kubernetes):
        if (selector := entry.namespace_selector) is None:
            continue
        try:
            found = list_namespaces(entry)
        except (Failed, MemoryError) as failed:
            failures[entry] = failure_of(failed)
            continue
        own = tuple(name for name in found if owners.setdefault(entry.sink(name), number) == number)
        if len(own) < len(found):
            error = f"another entry has {entry.secret} in some of the namespaces that {selector} matches"
            logs.get().warning("namespaces_taken", error=error, fix="Give the secrets of two clusters two names")
        entries[number] = replace(entry, namespaces=own)
    return replace(plan, kubernetes=tuple(entries)), failures


def with_orders(job: wire.Job, before: Plan, after: Plan) -> wire.Job:
    """The job with the slots of namespaces that are new; those that are gone drop out by themselves."""
    if job.orders is None or job.load is not None:
        return job
    new = after.by_id.keys() - before.by_id.keys()
    return replace(job, orders=(*job.orders, *(wire.Order(*slot_id) for slot_id in after.by_id if slot_id in new)))
