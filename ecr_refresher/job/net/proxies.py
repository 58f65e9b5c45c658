"""Proxies of the environment: which one leads to a URL, and that none ever leads to instance metadata."""

from __future__ import annotations

import os
import ssl
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

# EC2's instance metadata, ECS's and EKS's containers', by IPv4 and IPv6. Brackets too: botocore compares the URL's own
# spelling (botocore.utils.should_bypass_proxies).
METADATA = ("169.254.169.254", "169.254.170.2", "169.254.170.23", *("[fd00:ec2::254]", "[fd00:ec2::23]"))
_NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method")  # in a CGI, HTTP_PROXY is no proxy
_VARIABLES = (*_NAMES, *map(str.upper, _NAMES))
HOSTS_MAX, CONNECTIONS_MAX = 16, 16  # kept open, and to each: as many as are asked side by side
_SERVICE_URLS = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


def keep_metadata_direct(environ: MutableMapping[str, str] = os.environ) -> None:
    """Name the metadata services in NO_PROXY: botocore would ask them through the environment's proxy.

    What a proxy answers there is at best nothing, at worst its own machine's credentials. To be called before there
    are threads: others read the environment.
    """
    # Python lets the variable in small letters win over the one in capitals.
    name = "no_proxy" if environ.get("no_proxy") else "NO_PROXY"
    known = [host.strip() for host in environ.get(name, "").split(",") if host.strip()]
    if "*" in known and len(known) == 1:  # as a part of a longer list the star means nothing
        return
    own = [urlsplit(environ[variable]).netloc for variable in _SERVICE_URLS if environ.get(variable)]
    environ[name] = ",".join(dict.fromkeys((*known, *METADATA, *(host for host in own if host))))


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for this URL, if any."""
    parts = urlsplit(url)
    proxies = _proxies(tuple(map(os.environ.get, _VARIABLES)))
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2], proxies):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


@lru_cache(maxsize=16)
def _proxies(_seen: tuple[str | None, ...]) -> dict[str, str]:
    """What the variables come to. Python reads the whole environment for it, which a thousand proofs would feel."""
    return getproxies()


def pool_for(url: str, context: ssl.SSLContext) -> urllib3.PoolManager:
    """The pool for requests to this URL, by the environment's proxy where it names one; the same one for each call."""
    return _pool(proxy_for(url), context)


@lru_cache(maxsize=16)
def _pool(proxy: str | None, context: ssl.SSLContext) -> urllib3.PoolManager:
    how: dict[str, Any] = {"num_pools": HOSTS_MAX, "maxsize": CONNECTIONS_MAX, "ssl_context": context}
    if proxy is None:
        return urllib3.PoolManager(**how)
    login = urlsplit(proxy)
    if login.username is None:
        return urllib3.ProxyManager(proxy, **how)
    user_and_password = f"{unquote(login.username)}:{unquote(login.password or '')}"
    bare = login._replace(netloc=login.netloc.rpartition("@")[2]).geturl()
    headers = urllib3.make_headers(proxy_basic_auth=user_and_password)
    return urllib3.ProxyManager(bare, proxy_headers=headers, **how)
