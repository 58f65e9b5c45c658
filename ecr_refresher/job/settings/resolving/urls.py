"""How URLs are written, and where they lead. Each reader raises ValueError without the URL: a login may stand in it."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from ..reading.values import TRUE, single

OF_DOCKER = "true"  # the engine that the docker command would ask


def base_url(value: object) -> str:
    """Read an http(s) URL under which paths are asked for; a slash at its end is dropped."""
    text = single(value)
    example = "write it as https://HOST[:PORT][/PATH]"
    if re.search(r"[\s\\]|[^\x21-\x7e]", text):
        raise ValueError(f"has characters that no URL has; {example}")
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise ValueError(f"is no URL; {example}") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"has neither https:// nor http:// in front; {example}")
    if "@" in parts.netloc:
        raise ValueError(f"has a login in it; {example}, and give the login in settings of its own")
    if not host or port == 0:
        raise ValueError(f"names no server; {example}")
    if "?" in text or "#" in text:
        raise ValueError(f"has a query or fragment; {example}")
    return parts._replace(netloc=parts.netloc.lower()).geturl().rstrip("/")


def is_foreign_http(url: str) -> bool:
    """Whether a `base_url` would send secrets over the network in the clear."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def server_of(url: str) -> tuple[str, str, int, str]:
    """What a `base_url` leads to: the same for two spellings of one server and path."""
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, parts.hostname or "", parts.port or default, parts.path.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def secure_url(value: object) -> str:
    """Read a `base_url` that must be https, or http to this very host."""
    url = base_url(value)
    if is_foreign_http(url):
        raise ValueError("is plain http to another host; write https://, a token is sent there")
    return url


def airflow_url(value: object) -> str:
    """Read Airflow's base URL, as people open it in a browser."""
    url = base_url(value)
    if re.search(r"/api(/v\d+)?$", url):
        raise ValueError("has the API's path at its end; give the base URL, without /api/…")
    return url


def engine_url(value: object) -> str:
    """Read where an engine listens: `unix:///path`, `tcp://host:port`; `true` leaves it to docker's own settings."""
    text = single(value)
    if text.lower() in TRUE:
        return OF_DOCKER
    example = "write unix:///var/run/docker.sock, or tcp://HOST:2376 with tls_ca, tls_cert and tls_key"
    scheme, separator, rest = text.partition("://")
    if scheme == "ssh":
        raise ValueError(
            "is reached by ssh, which needs a login of its own; run ecr-refresher on that host, or forward its socket "
            "(ssh -L /run/engine.sock:/var/run/docker.sock HOST) and write unix:///run/engine.sock"
        )
    if not separator or scheme not in ("unix", "tcp"):
        raise ValueError(f"is no engine that can be reached from here; {example}")
    if scheme == "unix":
        if not re.fullmatch(r"/[^\s@]+", rest):
            raise ValueError(f"has no absolute path behind unix://; {example}")
        return text
    try:
        parts = urlsplit(text)
        bare = parts.hostname and parts.port and not {"@", "?", "#"} & set(rest) and parts.path in ("", "/")
    except ValueError:
        bare = False
    if not bare:
        raise ValueError(f"is no plain tcp://HOST:PORT; {example}")
    return text.rstrip("/")
