"""Until when what a slot holds is good. Pure."""

from __future__ import annotations

from ...core import decide
from ...core.model import Holding
from ...core.phrases import span
from ...core.plan import Refresh
from ...core.times import rfc3339
from .findings import Finding, failed, ok, warning

DELIVER = "Run `ecr-refresher once`, or start the daemon: it writes a new login"


def judged(holding: Holding, now: float, life: float, rules: Refresh) -> Finding:
    """Say until when it is good, or what is wrong with it. `life` is that of the registry's tokens, in seconds."""
    if holding.until is None:
        return warning("it holds no login whose expiry is known", DELIVER)
    if not decide.believed(holding, now, life):
        return warning("its login ends later than any token does, so its expiry is not believed", DELIVER)
    when, left = rfc3339(holding.until), holding.until - now
    if left <= 0:
        what = f"its login expired at {when} ({span(-left)} ago), so nobody renews it"
        return failed(what, "Start `ecr-refresher run` (see its log if it runs), or run `ecr-refresher once`")
    if left < (1 - rules.at_fraction - rules.jitter) * life:  # past the latest draw
        what = f"its login ends at {when} (in {span(left)}), and should have been renewed"
        return warning(what, "See the daemon's log, or start it: `ecr-refresher run`")
    return ok(f"good until {when} (for {span(left)})")
