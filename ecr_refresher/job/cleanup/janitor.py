"""One cleanup: looks, has the policy judge, and removes one by one; or says what it would remove.

Never prunes images: that takes the leases of pulls under way (moby/moby#53321). Never forces: what came into use a
moment ago is refused by the engine itself, and stays. Never touches a volume.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ... import logs
from ...core import wire
from ...core.model import Failed, Failure, Reason
from ...core.plan import Cleanup, Plan
from ..aws.clock import AwsClock
from ..net import engine
from . import disk, listing, policy, removal, wording
from .account import Account, Gone, Stayed, Trouble, What
from .disk import Disk
from .downloads import Patience
from .policy import Container, Image, Kept, Layers, Registries, Usage
from .usage.hearing import Hearing
from .usage.last_use import History
from .usage.state_file import StateFile

if TYPE_CHECKING:
    from docker import APIClient

TIMEOUT_S = 60  # for one answer: big images take their time to go
CONFLICT, NOT_FOUND = 409, 404
LATER = "later"  # the time of this cleanup is over
Report = Callable[[wire.Line], None]


def clean(
    plan: Plan,
    valid: tuple[str, ...],
    clock: AwsClock,
    report: Report,
    *,
    dry_run: bool,
    ends_at: float,
    heard: bool = False,
) -> Account:
    """One cleanup by the plan's rules, with the registries of which a credential is valid now.

    `heard` tells that a listener has heard the engine all along, and keeps the state file up to date.
    """
    ours = frozenset(registry.host for registry in plan.registries if registry.host)
    registries = Registries(ours, frozenset(valid))
    dry_run = dry_run or plan.cleanup.dry_run
    return Janitor(plan.cleanup, registries, clock, report, dry_run=dry_run, ends_at=ends_at, heard=heard).run()


class Janitor:
    """Cleans one engine, once."""

    def __init__(
        self,
        rules: Cleanup,
        registries: Registries,
        clock: AwsClock,
        report: Report,
        *,
        dry_run: bool,
        ends_at: float,
        heard: bool,
    ) -> None:
        self._rules, self._registries, self._clock, self._report = rules, registries, clock, report
        self._ends_at = ends_at  # on the boot clock
        self._heard = heard
        self._patience = Patience(clock.boot)
        self.account = Account(dry_run)

    def run(self) -> Account:
        """Do it; what fails is in the account, and has been reported."""
        began = time.monotonic()
        try:
            with engine.told(self._rules.engine, TIMEOUT_S):
                api = engine.client(self._rules.engine, TIMEOUT_S)
                with contextlib.closing(api):
                    self._clean(api)
        except Failed as failed:
            self._trouble("engine", failed.failure)
        self._sum_up(time.monotonic() - began)
        return self.account

    def _clean(self, api: APIClient) -> None:
        state, history = self._open_state()
        with Hearing(api, self._clock, history, held=self._heard) as hearing:
            removed = self._clean_containers(api, hearing)
            seen = self._look_at_disk(api, hearing)
            try:
                if self._rules.images.enabled:
                    self._clean_images(api, hearing, seen, removed, known=state is not None)
            finally:
                if state is not None and not self.account.dry_run:
                    self._save(state, hearing)
            if self._rules.build_cache_max is not None:
                self._clean_build_cache(api, self._rules.build_cache_max)
            if seen is not None and not self.account.dry_run:
                self.account.after = replace(self.account.after, **_measured(seen))
        self.account.ended = True

    # --- what is remembered ------------------------------------------------------------------------------------------
    def _open_state(self) -> tuple[StateFile | None, History | None]:
        try:
            state = StateFile(self._rules.state_file)
            history, there = state.load()
        except Failed as failed:
            self._trouble("state_file", failed.failure)
            return None, None
        if there and history is None:
            logs.get().warning(
                "state_file_broken",
                error=f"{self._rules.state_file} makes no sense; every image counts as used just now",
            )
        return state, history

    def _save(self, state: StateFile, hearing: Hearing) -> None:
        try:
            state.save(hearing.remembered(), hearing.index.ids.keys())
        except Failed as failed:
            self._trouble("state_file", failed.failure)

    # --- containers --------------------------------------------------------------------------------------------------
    def _clean_containers(self, api: APIClient, hearing: Hearing) -> frozenset[str]:
        """Remove ended containers; gives the ids of those that are gone, or would be."""
        by_id = {image.id: image for image in hearing.known()}
        gone = set()
        self.account.containers = len(hearing.containers)
        for container in hearing.containers if self._rules.containers.enabled else ():
            ended_at: float | None = None
            why_kept = self._judge(container, by_id, 0.0)  # but for what has to be asked for: its end, a name lost
            if why_kept is None or (why_kept is Kept.FOREIGN and policy.shows_id(container)):
                if self._clock.boot() > self._ends_at:
                    self._stay("container", container.id, container.name, LATER)
                    continue
                asked = self._ended(api, container, hearing)
                if asked is None:
                    continue
                container, ended_at = asked, asked.ended_at  # noqa: PLW2901
            why_kept = self._judge(container, by_id, ended_at)
            if why_kept is not None:
                self._stay("container", container.id, container.name, why_kept, ended_at)
            elif self._remove_container(api, container):
                gone.add(container.id)
        return frozenset(gone)

    def _ended(self, api: APIClient, container: Container, hearing: Hearing) -> Container | None:
        """The container as it is now, by our clock; None if it is gone, or so broken that the engine can't tell."""
        from docker.errors import APIError, NotFound

        try:
            container = _on_our_clock(listing.ended_at(api, container), hearing.skew)
        except NotFound:
            return None
        except APIError as error:
            self._trouble("container", _refusal(error, "tell of it"), container.name)
            return None
        if container.state in policy.ENDED and container.ended_at is not None:
            hearing.used(container.image_id, container.ended_at)  # an engine that broke down told nobody
        return container

    def _judge(self, container: Container, by_id: dict[str, Image], ended_at: float | None) -> Kept | None:
        return policy.judge_container(
            replace(container, ended_at=ended_at),
            by_id.get(container.image_id),
            self._rules.containers,
            self._registries,
            self._clock.now(),
        )

    def _remove_container(self, api: APIClient, container: Container) -> bool:
        ago = wording.duration(self._clock.now() - (container.ended_at or 0.0))
        why = f"{'was never started, made' if container.state == 'created' else container.state} {ago} ago"
        going = Gone("container", container.id, container.name, why, container.ended_at)
        return self._removed(going, lambda: api.remove_container(container.id, v=False, force=False))

    # --- images ------------------------------------------------------------------------------------------------------
    def _look_at_disk(self, api: APIClient, hearing: Hearing) -> Disk | None:
        try:
            seen = disk.find(hearing.engine.data_root, self._rules.data_root, lambda one: _knows(api, one))
            self.account.before = self.account.after = Usage(**_measured(seen))
        except (Failed, OSError) as error:
            wanted = self._rules.images.enabled and self._rules.images.when_disk_above is not None
            if wanted:
                what = error.failure if isinstance(error, Failed) else Failure(Reason.TRANSIENT, f"statvfs: {error}")
                self._trouble("disk", what)
            return None
        return seen

    def _clean_images(
        self, api: APIClient, hearing: Hearing, seen: Disk | None, removed: frozenset[str], *, known: bool
    ) -> None:
        rules = self._rules.images
        hearing.drain()
        self.account.images = len(hearing.index.ids)
        images = hearing.known()
        used = {image for container, image in hearing.index.containers.items() if container not in removed}
        judged = policy.judge_images(images, used, rules, self._registries, self._clock.now())
        for image, why in judged.kept:
            self._stay("image", image.id, image.name, why, image.last_used_at, image.size)
        usage, images = self._measure_images(api, images)
        self.account.before = self.account.after = usage
        if not known or not policy.goal(usage, rules).open(usage, rules):
            self._not_needed(judged.candidates)
            return
        self._remove_images(api, hearing, seen, judged, images)

    def _measure_images(self, api: APIClient, images: list[Image]) -> tuple[Usage, list[Image]]:
        """The usage with the images' bytes, and the images with their layers where that matters."""
        rules, usage = self._rules.images, self.account.before
        at_most = sum(image.size for image in images)
        by_size = rules.max_size is not None and at_most > rules.max_size
        if by_size or policy.goal(usage, rules).disk:
            images = listing.with_layers(api, images)
            at_most = policy.total(images)
        return replace(usage, image_bytes=at_most), images

    def _remove_images(
        self, api: APIClient, hearing: Hearing, seen: Disk | None, judged: policy.Judged, images: list[Image]
    ) -> None:
        rules, usage = self._rules.images, self.account.before
        wanted, layers, stuck = policy.goal(usage, rules), Layers(images), set()
        by_id = {image.id: image for image in images}
        for place, candidate in enumerate(judged.candidates):
            image = by_id[candidate.id]
            if not wanted.open(usage, rules):
                self._not_needed(judged.candidates[place:])
                break
            if seen is not None and not self.account.dry_run:
                self._patience.await_quiet(seen)
            if self._clock.boot() > self._ends_at:
                self._not_needed(judged.candidates[place:], LATER)
                self.account.after = usage
                return
            if image.id in stuck:
                self._stay("image", image.id, image.name, Kept.PARENT, image.last_used_at, image.size)
            elif self._remove_image(api, hearing, image, usage, layers.freed_by(image)):
                usage = usage.less(layers.remove(image))
                if seen is not None and not self.account.dry_run:
                    usage = replace(usage, **_measured(seen))
                continue
            stuck.add(image.parent)
        self.account.after = usage
        self.account.short = wanted.open(usage, rules)

    def _remove_image(self, api: APIClient, hearing: Hearing, image: Image, usage: Usage, freed: int) -> bool:
        unused = f"unused for {wording.duration(self._clock.now() - image.last_used_at)}"
        why = f"{unused}, {self._pressure(usage)}"
        going = Gone("image", image.id, image.name, why, image.last_used_at, image.size, freed)
        return self._removed(going, lambda: removal.remove(api, hearing, image))

    def _pressure(self, usage: Usage) -> str:
        rules, share = self._rules.images, usage.disk_share
        if rules.when_disk_above is not None and share is not None and policy.goal(self.account.before, rules).disk:
            return f"disk {wording.share(share)} full"
        return f"images of {wording.size(usage.image_bytes or 0)}"

    def _not_needed(self, images: Iterable[Image], why: str = Kept.NOT_NEEDED) -> None:
        for image in images:
            self._stay("image", image.id, image.name, why, image.last_used_at, image.size)

    # --- build cache -------------------------------------------------------------------------------------------------
    def _clean_build_cache(self, api: APIClient, most: int) -> None:
        if self.account.dry_run:
            held = sum(record["Size"] for record in (api.df().get("BuildCache") or ()) if not record.get("Shared"))
            if held > most:
                why = f"build cache of {wording.size(held)}, above {wording.size(most)}"
                self._note(Gone("build_cache", "", "build cache", why, None, held, held - most))
            return
        freed = int(api.prune_builds(keep_storage=most, all=True).get("SpaceReclaimed") or 0)
        if freed:
            why = f"build cache above {wording.size(most)}"
            self._note(Gone("build_cache", "", "build cache", why, None, freed, freed))

    # --- the account -------------------------------------------------------------------------------------------------
    def _removed(self, going: Gone, remove: Callable[[], Any]) -> bool:
        """Remove one thing, or only say so; a refusal is told, and it is tried again in the next pass."""
        import requests
        from docker.errors import APIError

        if not self.account.dry_run:
            try:
                remove()
            except requests.Timeout:
                late = f"the engine has not removed it within {TIMEOUT_S} s; looked at again later"
                self._trouble(going.what, Failure(Reason.TRANSIENT, late), going.name)
                return False
            except removal.UsedAgain:
                self._stay(going.what, going.id, going.name, Kept.IN_USE, going.last_used_at, going.size)
                return False
            except APIError as error:
                if error.status_code == NOT_FOUND:
                    return True  # somebody else was faster
                self._trouble(going.what, _refusal(error), going.name)
                return False
        self._note(going)
        return True

    def _note(self, gone: Gone) -> None:
        self.account.gone.append(gone)
        self._report(wire.Removed(gone.what, gone.name, gone.freed, dry_run=self.account.dry_run))
        event = f"{gone.what}_would_be_removed" if self.account.dry_run else f"{gone.what}_removed"
        logs.get().info(event, name=gone.name, id=gone.id[:19], why=gone.why, freed_bytes=gone.freed or None)

    def _stay(
        self, what: What, ident: str, name: str, why: str, last_used_at: float | None = None, size: int = 0
    ) -> None:
        self.account.stayed.append(Stayed(what, ident, name, str(why), last_used_at, size))

    def _trouble(self, what: What, failure: Failure, name: str | None = None) -> None:
        self.account.troubles.append(Trouble(what, failure, name))
        self._report(wire.Hindered(what, failure, name))
        logs.get().warning("cleanup_hindered", what=what, name=name, reason=failure.reason, error=failure.message)

    def _sum_up(self, duration_s: float) -> None:
        account, protected = self.account, dict.fromkeys(map(str, Kept), 0)
        for stayed in account.stayed:
            if stayed.what == "image":
                protected[stayed.why] = protected.get(stayed.why, 0) + 1
        if account.short:
            mend = "nothing more may go by the rules; see `ecr-refresher cleanup --dry-run` for what is kept and why"
            logs.get().warning("cleanup_short", error=mend)
        self._report(
            wire.Swept(
                ended=account.ended,
                duration_s=round(duration_s, 3),
                disk_used=account.after.disk_used,
                disk_total=account.after.disk_total,
                image_bytes=account.after.image_bytes,
                images=account.images - sum(gone.what == "image" for gone in account.gone if not account.dry_run),
                protected=protected,
                short=account.short,
                dry_run=account.dry_run,
            )
        )


def _on_our_clock(container: Container, skew: float) -> Container:
    return replace(container, ended_at=None if container.ended_at is None else container.ended_at - skew)


def _measured(seen: Disk) -> dict[str, int]:
    used, whole = seen.measure()
    return {"disk_used": used, "disk_total": whole}


def _knows(api: APIClient, container: str) -> bool:
    from docker.errors import NotFound

    try:
        api.inspect_container(container)
    except NotFound:
        return False
    return True


def _refusal(error: Any, what: str = "remove it") -> Failure:
    """A conflict is no fault: something has come into use, or is being removed already."""
    text = str(error.explanation or "")[:300]
    if error.status_code == CONFLICT:
        return Failure(Reason.TRANSIENT, f"the engine won't have it removed now: {text}; tried again later")
    return Failure(Reason.TRANSIENT, f"the engine failed to {what} ({error.status_code}): {text}; tried again later")
