"""Ways there: through a proxy or not, trusting whom, and does anybody listen."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

from msgspec.structs import replace

from ....core.model import Failed, Reason
from ....core.plan import Principal
from ...aws.errors import Doing
from ...net import proxies
from ..findings import Finding, ok
from ..scene import Scene
from ..trying import Key, Leg

CONNECT_S = 4.0


def api_key(principal: Principal) -> Key:
    """The leg of the way to where the principal's tokens are asked for."""
    kind = ("fips " if principal.use_fips else "") + ("dual-stack " if principal.use_dualstack else "")
    return "route", principal.endpoint_url or f"{principal.service} API, {kind}{principal.region}"


def url_key(url: str) -> Key:
    """The leg of the way to a URL: one for each server."""
    parts = urlsplit(url)
    return "route", f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def legs(scene: Scene) -> Iterator[Leg]:
    """One leg for each server: AWS's APIs, registries, Airflows."""
    made: dict[Key, Leg] = {}
    for principal in scene.principals:
        key = api_key(principal)
        made.setdefault(key, Leg(*key, f"connected to {key[1]}", partial(_to_api, scene, principal)))
    for registry in scene.plan.registries:
        if registry.host and registry.alias_of is None:
            url = registry.registry_url or f"https://{registry.host}"
            trust = registry.ca_file or os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")
            made.setdefault(url_key(url), _leg(url, trust, required=registry.required and scene.plan.refresh.prove))
    for airflow in scene.plan.airflows:
        if airflow.url:
            made.setdefault(url_key(airflow.url), _leg(airflow.url, airflow.ca_file))
    yield from made.values()


def _leg(url: str, ca_file: str | None, *, required: bool = True) -> Leg:
    name, subject = url_key(url)
    return Leg(name, subject, f"connected to {subject}", partial(travel, url, ca_file), required=required)


def _to_api(scene: Scene, principal: Principal) -> list[Finding]:
    aws = scene.tools.aws()
    doing = Doing("finding the endpoint", principal.region, "")
    with aws.client(replace(principal, roles=()), principal.service) as client:
        url = aws.call(doing, lambda: client.meta.endpoint_url)
    return travel(url, principal.ca_file or os.environ.get("AWS_CA_BUNDLE"))


def travel(url: str, ca_file: str | None) -> list[Finding]:
    """Connect to where this URL leads, and close. Raises Failed."""
    trust = _trust(ca_file) if url.startswith("https:") else "no TLS"
    proxy = proxies.proxy_for(url)
    there = urlsplit(proxy or url)
    host, port = there.hostname or "", there.port or (443 if there.scheme == "https" else 80)
    named = f"{there.scheme}://{host}:{port}"
    mend = "see DNS, security groups, VPC endpoints and HTTPS_PROXY"
    if proxy is not None:
        mend = f"correct HTTPS_PROXY (or HTTP_PROXY), or name {urlsplit(url).hostname} in NO_PROXY"
    what = f"the proxy {named}" if proxy else f"{host}:{port}"
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except socket.gaierror:
        raise Failed(Reason.TRANSIENT, f"{what} can't be reached: DNS knows no {host}; {mend}") from None
    except TimeoutError:
        raise Failed(
            Reason.TRANSIENT, f"{what} can't be reached: no connection within {CONNECT_S:.0f} s; {mend}"
        ) from None
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise Failed(Reason.TRANSIENT, f"{what} can't be reached: {why}; is it up, and {mend}") from None
    return [ok(f"{f'through the proxy {named}' if proxy else 'directly'}; {trust}")]


def _trust(ca_file: str | None) -> str:
    """Whom to trust there, in words. Raises Failed where the CA file is none."""
    named = ca_file or os.environ.get("SSL_CERT_FILE")
    if named is None:
        return "trusting the system's CAs"
    try:
        ssl.create_default_context(cafile=named)
    except ssl.SSLError:
        raise Failed(
            Reason.INVALID, f"the CA file {named} holds no certificate; put the CA's PEM there, or correct ca_file"
        ) from None
    except OSError as error:
        why = (error.strerror or "").lower()
        raise Failed(
            Reason.MISSING, f"the CA file {named} can't be read ({why}); mount it, or correct ca_file"
        ) from None
    return f"trusting {named}"
