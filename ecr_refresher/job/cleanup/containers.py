"""Removes ended containers, one by one, as the policy judges them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ...core.cleanup_rules import ContainerRules
from . import listing, policy, wording
from .policy import Container, Kept, Registries
from .report import LATER, CleanupReport, Gone, refusal
from .usage.hearing import Hearing

if TYPE_CHECKING:
    from docker import APIClient


def clean(
    api: APIClient,
    hearing: Hearing,
    rules: ContainerRules,
    registries: Registries,
    record: CleanupReport,
    now: Callable[[], float],
    time_is_up: Callable[[], bool],
) -> frozenset[str]:
    """Remove ended containers; gives the ids of those that went, or would go. Raises the engine's errors."""
    by_id = {image.id: image for image in hearing.known()}
    gone = set()
    record.containers = len(hearing.containers)
    for container in hearing.containers if rules.enabled else ():

        def judged(one: Container, ended_at: float | None) -> Kept | None:
            image = by_id.get(one.image_id)
            return policy.judge_container(replace(one, ended_at=ended_at), image, rules, registries, now())

        ended_at: float | None = None
        why = judged(container, 0.0)  # without what costs a call: when it ended, and a name that the list has lost
        if why is None or (why is Kept.FOREIGN and policy.shows_id(container)):
            if time_is_up():
                record.stays("container", container.id, container.name, LATER)
                continue
            asked = _inspected(api, container, hearing, record)
            if asked is None:
                continue
            container, ended_at = asked, asked.ended_at  # noqa: PLW2901
        why = judged(container, ended_at)
        if why is not None:
            record.stays("container", container.id, container.name, why, ended_at)
        elif _removed(api, container, rules, record, now()):
            gone.add(container.id)
    return frozenset(gone)


def _inspected(api: APIClient, container: Container, hearing: Hearing, record: CleanupReport) -> Container | None:
    """The container as it is now, on our clock; None if it is gone, or so broken that the engine can't show it."""
    from docker.errors import APIError, NotFound

    try:
        found = listing.ended_at(api, container)
    except NotFound:
        return None
    except APIError as error:
        record.trouble("container", refusal(error, "inspect it"), container.name)
        return None
    if found.ended_at is not None:
        found = replace(found, ended_at=found.ended_at - hearing.skew)
        if found.state in policy.ENDED and found.ended_at is not None:
            hearing.used(found.image_id, found.ended_at)  # an engine that crashed sent no event of the end
    return found


def _removed(api: APIClient, container: Container, rules: ContainerRules, record: CleanupReport, now: float) -> bool:
    ago = wording.duration(now - (container.ended_at or 0.0))
    why = f"{'never started, created' if container.state == 'created' else container.state} {ago} ago"
    going = Gone("container", container.id, container.name, why, container.ended_at)
    # v: the engine then removes the container's anonymous volumes with it, and never a named one.
    return record.remove(going, lambda: api.remove_container(container.id, v=rules.anonymous_volumes, force=False))


def in_use(hearing: Hearing, gone: frozenset[str]) -> Mapping[str, str]:
    """The containers that are left, with their images."""
    return {container: image for container, image in hearing.index.containers.items() if container not in gone}
