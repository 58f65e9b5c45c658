"""Routes: whether each server can be reached, through the proxy and with the trust that a pass uses."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from ....core import budgets
from ....core.plan import Airflow, Principal, Registry
from ...net import http
from ...net.proof import url_of
from ...net.proxies import origin, proxy_for
from ...net.trust import Trust, trust_for
from ...net.wire_errors import Silent
from ..checkup import Checkup
from ..findings import Finding, ok
from ..trying import Key, Leg

LIMITS = http.Limits(budgets.ROUTE_S, budgets.ROUTE_S, budgets.ROUTE_S, answer_max=1, status_only=True)


def api_key(principal: Principal) -> Key:
    """The leg of the way to where the principal's tokens are asked for."""
    kind = ("fips " if principal.use_fips else "") + ("dual-stack " if principal.use_dualstack else "")
    return "route", principal.endpoint_url or f"{principal.service} API, {kind}{principal.region}"


def url_key(url: str) -> Key:
    """The leg of the way to a URL: one for each server."""
    return "route", origin(url)


def legs(checkup: Checkup) -> Iterator[Leg]:
    """One leg for each server: AWS's APIs, registries, Airflows."""
    made: dict[Key, Leg] = {}

    def add(key: Key, act: Callable[[], list[Finding]], *, required: bool = True) -> None:
        made.setdefault(key, Leg(*key, f"connected to {key[1]}", act, required=required))

    for principal in checkup.principals:
        add(api_key(principal), partial(_to_api, checkup, principal))
    for registry in checkup.registries():
        if registry.host:
            required = registry.required and checkup.plan.refresh.prove
            add(url_key(url_of(registry)), partial(_to_registry, checkup, registry), required=required)
    for airflow in checkup.plan.airflows:
        if airflow.url:
            add(url_key(airflow.url), partial(_to_airflow, airflow))
    yield from made.values()


def _to_api(checkup: Checkup, principal: Principal) -> list[Finding]:
    aws = checkup.tools.aws()
    return travel(aws.endpoint(principal), aws.trust_of(principal.profile, principal.ca_file))


def _to_registry(checkup: Checkup, registry: Registry) -> list[Finding]:
    return travel(url_of(registry), checkup.tools.aws().trust_of(registry.principal.profile, registry.ca_file))


def _to_airflow(airflow: Airflow) -> list[Finding]:
    shown = (airflow.client_cert, airflow.client_key) if airflow.client_cert else None
    return travel(airflow.url, replace(trust_for(airflow.ca_file), shown=shown))


def travel(url: str, trust: Trust) -> list[Finding]:
    """Send a request without a login, as a pass would send it; any answer will do. Raises Failed."""
    with contextlib.suppress(Silent):  # slow, but reached
        http.send("HEAD", url, trust, LIMITS)
    proxy = proxy_for(url)
    way = f"through the proxy {origin(proxy)}" if proxy else "directly"
    return [ok(f"{way}; {f'trusting {trust}' if url.startswith('https:') else 'no TLS'}")]
