"""Judges what a slot holds: until when it is good, and whether Airflow's Docker provider can use it. Pure."""

from collections.abc import Callable, Iterator

from ...core import decide
from ...core.model import Holding
from ...core.phrases import span
from ...core.plan import Connection, Refresh
from ...core.times import rfc3339
from ..sinks.airflow.entry import CONN_TYPE, LOGIN, Shape
from .findings import Finding, failed, ok, warning

Judge = Callable[[Holding], Finding]
DELIVER = "Run `ecr-refresher once`, or start the daemon: it writes a new login"
BY_HAND = "in Airflow, Admin, Connections; ecr-refresher never changes that field"


def freshness(holding: Holding, now: float, life: float, rules: Refresh) -> Finding:
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


def connection(shape: Shape | None, wanted: Connection, host: str, fresh: Judge) -> list[Finding]:
    """Everything that is wrong with an Airflow connection, or until when it is good, which `fresh` judges."""
    if shape is None:
        if wanted.create:
            return [warning(f"there is no connection {wanted.id} yet", DELIVER)]
        return [failed(f"there is no connection {wanted.id}", "Create it in Airflow, or set create: true")]
    rewritten = [warning(text, DELIVER) for text in _rewritten(shape, host)]
    # One finding is enough for what the next pass writes anew.
    held = [] if rewritten else [fresh(Holding(shape.until))]
    return [*rewritten, *_user_s_own(shape, host), *held]


def _rewritten(shape: Shape, host: str) -> Iterator[str]:
    """What every write puts right."""
    if shape.conn_type != CONN_TYPE:
        yield f"its type is '{shape.conn_type}', not '{CONN_TYPE}'"
    if not shape.host:
        yield "it has no host"
    elif shape.host.partition("://")[2].rstrip("/") == host:
        yield f"its host has a scheme in front ('{shape.host}'), so that pulls do not find the login"
    elif shape.host != host:
        yield f"its host is '{shape.host}', not '{host}'"
    if shape.login != LOGIN:
        yield f"its login is '{shape.login}', not '{LOGIN}'" if shape.login else "it has no login"
    if not shape.password:
        yield "it has no password"


def _user_s_own(shape: Shape, host: str) -> Iterator[Finding]:
    """What belongs to the user, and is never changed here."""
    if shape.port not in (None, ""):
        what = f"its port is {shape.port}: the login goes to {host}:{shape.port}, and pulls from {host} go without it"
        yield failed(what, f"Empty the port {BY_HAND}")
    if shape.reauth is False:
        what = "its extra has reauth: false: Docker then takes a stale entry of the worker's config.json"
        yield warning(what, f"Remove reauth from the extra {BY_HAND}")
