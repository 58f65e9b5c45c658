"""Which proxy leads to a URL, by one rule for every client; none ever leads to instance metadata."""

import contextlib
import ipaddress
import os
import ssl
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from ...core.loopback import is_loopback
from ...core.model import Failed, Reason
from ...core.printable import printable

# EC2's instance metadata, ECS's and EKS's containers', by IPv4 and IPv6. Brackets too: botocore compares the URL's own
# spelling (botocore.utils.should_bypass_proxies).
METADATA = ("169.254.169.254", "169.254.170.2", "169.254.170.23", "[fd00:ec2::254]", "[fd00:ec2::23]")
HOSTS_MAX, CONNECTIONS_MAX = 32, 32  # kept open, and to each: as many as there are calls side by side
_SERVICE_URLS = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


def keep_metadata_direct(environ: MutableMapping[str, str] = os.environ) -> None:
    """Name the metadata services in NO_PROXY: botocore asks them through the environment's proxy otherwise.

    What a proxy answers there is at best nothing, at worst its own machine's credentials. Call this before there are
    threads, since others read the environment.
    """
    # Python lets the variable in small letters win over the one in capitals.
    name = "no_proxy" if environ.get("no_proxy") else "NO_PROXY"
    known = [host.strip() for host in environ.get(name, "").split(",") if host.strip()]
    if "*" in known and len(known) == 1:  # as a part of a longer list the star means nothing
        return
    own = [urlsplit(environ[variable]).netloc for variable in _SERVICE_URLS if environ.get(variable)]
    environ[name] = ",".join(dict.fromkeys((*known, *METADATA, *(host for host in own if host))))


def origin(url: str) -> str:
    """Scheme, host and port of a URL, fit to be shown: without the login in it."""
    parts = urlsplit(url)
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")[:300]


def proxy_for(url: str) -> str | None:
    """The URL of the proxy that the environment names for this URL, or None.

    HTTPS_PROXY, HTTP_PROXY and ALL_PROXY by the URL's scheme, unless NO_PROXY names the host: as a name, a domain, an
    address, or a network such as 10.0.0.0/8. None leads to this machine itself: plain http is allowed there because
    it stays here. Raises Failed where a variable names no proxy.
    """
    parts = urlsplit(url)
    if is_loopback(parts.hostname or ""):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2], proxies):
        return None
    if _is_in_a_network(parts.hostname or "", proxies.get("no", "")):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    with contextlib.suppress(ValueError):
        named = urlsplit(proxy)
        if named.scheme in ("http", "https") and named.hostname and named.port != 0:
            return proxy
    message = f"the proxy that the environment names for {parts.scheme} URLs is not an http or https URL"
    raise Failed(Reason.INVALID, message, "Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY")


def _is_in_a_network(host: str, no_proxy: str) -> bool:
    """Whether the host is an address of a network in NO_PROXY."""
    for entry in no_proxy.replace("[", "").replace("]", "").split(","):
        with contextlib.suppress(ValueError):  # a name, of the host or in NO_PROXY
            if ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip(), strict=False):
                return True
    return False


def pool_for(url: str, context: ssl.SSLContext | None) -> urllib3.PoolManager:
    """The pool for requests to this URL, through the environment's proxy if it names one. Calls share it."""
    return _pool(proxy_for(url), context)


@lru_cache(maxsize=16)
def _pool(proxy: str | None, context: ssl.SSLContext | None) -> urllib3.PoolManager:
    how: dict[str, Any] = {"num_pools": HOSTS_MAX, "maxsize": CONNECTIONS_MAX, "ssl_context": context}
    if proxy is None:
        return urllib3.PoolManager(**how)
    return urllib3.ProxyManager(origin(proxy), proxy_headers=login_headers(proxy), proxy_ssl_context=context, **how)


def login_headers(proxy: str) -> dict[str, str]:
    """The headers for the login in a proxy's URL; none without one."""
    login = urlsplit(proxy).netloc.rpartition("@")[0]
    if not login:
        return {}
    return urllib3.make_headers(proxy_basic_auth=unquote(login if ":" in login else f"{login}:"))
