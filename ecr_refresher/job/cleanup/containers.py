"""Removes ended containers, one by one, as the policy judges them."""

from dataclasses import replace

from docker.errors import APIError, NotFound

from . import listing, policy, wording
from .policy import Container, Kept
from .report import LATER, Gone, refusal
from .work import Work


def clean(work: Work) -> frozenset[str]:
    """Remove ended containers; returns the ids of those that were or would be removed. Raises the engine's errors."""
    hearing, record, rules = work.hearing, work.record, work.rules.containers
    by_id = {image.id: image for image in hearing.known()}
    gone = set()
    for listed in hearing.containers if rules.enabled else ():

        def judged(container: Container) -> Kept | None:
            return policy.judge_container(
                container, by_id.get(container.image_id), rules, work.registries, work.clock.now()
            )

        # The list doesn't say when it ended, and shows an id once a name has moved on: ask where that decides.
        why = judged(replace(listed, ended_at=0.0))
        if why is not None and not (why is Kept.FOREIGN and policy.shows_id(listed)):
            record.stays(why, listed)
        elif work.time_is_up():
            record.stays(LATER, listed)
        elif (container := _inspected(work, listed)) is not None:
            why = judged(container)
            if why is not None:
                record.stays(why, container)
            elif _removed(work, container):
                gone.add(container.id)
    return frozenset(gone)


def _inspected(work: Work, container: Container) -> Container | None:
    """The container as it is now, on our clock; None if it is gone, or so broken that the engine can't show it."""
    try:
        found = listing.ended_at(work.api, container)
    except NotFound:
        return None
    except APIError as error:
        work.record.trouble("container", refusal(error, "inspect it"), container.name)
        return None
    if found.ended_at is not None:
        found = replace(found, ended_at=found.ended_at - work.hearing.skew)
        if found.state in policy.ENDED and found.ended_at is not None:
            work.hearing.used(found.image_id, found.ended_at)  # an engine that crashed sent no event of the end
    return found


def _removed(work: Work, container: Container) -> bool:
    ago = wording.duration(work.clock.now() - (container.ended_at or 0.0))
    why = f"{'never started, created' if container.state == 'created' else container.state} {ago} ago"
    going = Gone("container", container.id, container.name, why, container.ended_at)
    # v: the engine then removes the container's anonymous volumes with it, and never a named one.
    volumes = work.rules.containers.anonymous_volumes
    return work.record.remove(going, lambda: work.api.remove_container(container.id, v=volumes, force=False))
