"""URLs in settings. None is ever shown in an error: a login may be in it."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AnyHttpUrl, TypeAdapter, ValidationError

from ....core.loopback import is_loopback
from ..problems import Wrong
from .kinds import Kind

OF_DOCKER = "true"  # the engine that the docker command would ask
_HTTP = TypeAdapter(AnyHttpUrl)
_FIX = "Write it as https://HOST[:PORT][/PATH]"
_ENGINE_FIX = "Write unix:///var/run/docker.sock, or tcp://HOST:2376 with tls_ca, tls_cert and tls_key"


def _base(text: str) -> str:
    """An http(s) URL that paths are added to, in one spelling, without a slash at its end."""
    try:
        url = _HTTP.validate_python(text)
    except ValidationError:
        raise Wrong("is not an http or https URL", _FIX) from None
    if url.username is not None or url.password is not None:
        raise Wrong("has a login in it", f"{_FIX}, and put the login into its own settings")
    if url.query is not None or url.fragment is not None or not url.port:
        raise Wrong("has a query, a fragment or port 0", _FIX)
    return str(url).rstrip("/")


def is_foreign_http(url: str) -> bool:
    """Whether the URL would send secrets over the network in the clear."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def _secure(text: str) -> str:
    if is_foreign_http(url := _base(text)):
        raise Wrong("is plain http to another host", "Write https://, because a token is sent there")
    return url


def _airflow(text: str) -> str:
    if (url := _base(text)).endswith(("/api", "/api/v1", "/api/v2")):
        raise Wrong("has the API's path at its end", "Give the base URL, without /api/…")
    return url


def engine(text: str) -> str:
    """Where an engine listens: `unix:///path`, `tcp://host:port`; `true` leaves it to docker's own settings."""
    if text.lower() in ("true", "yes", "on"):
        return OF_DOCKER
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Wrong("is not an engine's address", _ENGINE_FIX) from None
    if parts.scheme == "ssh":
        raise Wrong(
            "is reached by ssh, which needs a login of its own",
            "Run ecr-refresher on that host, or forward its socket (ssh -L /run/engine.sock:/var/run/docker.sock HOST) "
            "and write unix:///run/engine.sock",
        )
    bare = not (parts.query or parts.fragment or "@" in parts.netloc or " " in text)
    if parts.scheme == "unix" and bare and not parts.netloc and parts.path.startswith("/"):
        return text
    if parts.scheme == "tcp" and bare and parts.hostname and port and parts.path in ("", "/"):
        return text.rstrip("/")
    raise Wrong("is not an engine's address", _ENGINE_FIX)


_URL = {"pattern": r"^https?://[^\s@?#]+$"}
_ENGINE = {"pattern": r"^(?:unix:///[^\s@?#]+|tcp://[^\s@?#]+:\d+/?|[Tt]rue|TRUE|[Yy]es|YES|[Oo]n|ON)$"}
AirflowUrl = Annotated[str, Kind("a URL", ".*", _FIX, _airflow, more=_URL)]
SecureUrl = Annotated[str, Kind("a URL", ".*", _FIX, _secure, more=_URL)]
EngineUrl = Annotated[
    str, Kind("an engine's URL, or true", ".*", _ENGINE_FIX, engine, types=("string", "boolean"), more=_ENGINE)
]
