"""The clock of a pass: the boot clock, and its offset to AWS's time."""

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from ...boot_clock import boot_time
from ...core import schedule
from ...core.ecr import partitions
from ...core.plan import Plan
from ..net import http


class AwsClock:
    """AWS's time, as far as answers of AWS have shown it; the wall clock's until then."""

    def __init__(
        self,
        offset: float | None = None,
        *,
        boot: Callable[[], float] = boot_time,
        wall: Callable[[], float] = time.time,
        on_change: Callable[[float, float], object] = lambda _offset, _skew: None,
    ) -> None:
        self.boot = boot
        self._wall = wall
        self.offset = offset  # AWS's time minus the boot clock; None until measured
        self._on_change = on_change

    def now(self) -> float:
        return self._wall() if self.offset is None else self.boot() + self.offset

    @property
    def skew(self) -> float:
        """By how many seconds the wall clock is ahead of AWS's; 0 until measured."""
        return 0.0 if self.offset is None else self._wall() - self.now()

    def observe(self, sent_boot: float, date: str | None) -> None:
        """Learn from the `Date` header of an answer of AWS that came just now, to a request sent at `sent_boot`."""
        seconds = http.moment(date or "")
        if seconds is None:
            return
        answered = self.boot()
        known = self._wall() - answered if self.offset is None else self.offset
        offset = schedule.clamp_offset(known, sent_boot, answered, seconds)
        if offset != self.offset:
            self.offset = offset
            self._on_change(offset, self.skew)


def not_to_set_the_clock(plan: Plan) -> set[str]:
    """The endpoints whose `Date` speaks for nobody else: neither AWS's own, nor shared by all registries."""
    urls = {registry.principal.endpoint_url for registry in plan.registries}
    of_few = [(url, urlsplit(url)) for url in urls if url is not None and len(urls) > 1]
    return {url for url, at in of_few if not (at.scheme == "https" and partitions.is_of_aws(at.hostname or ""))}
