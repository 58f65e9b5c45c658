"""Would docker-py and the docker command find the login that stands in a `config.json`? Run as whoever pulls."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ....core.model import Failed, Secret
from ...files.atomic_file import Folder
from . import login as docker_login
from . import memory as docker_memory
from .helper import Helper
from .login import Place
from .memory import Memory

Found = tuple[str, Secret] | None  # user name and password
OURS, ANOTHER, NONE, UNREADABLE = "ours", "another", "none", "unreadable"


@dataclass(frozen=True, slots=True)
class Reading:
    """What each of them finds: `ours`, `another` login, `none`, or that the file is `unreadable`."""

    file: str  # the one that they read
    docker_py: str
    docker: str

    @property
    def both_find_it(self) -> bool:
        return self.docker_py == self.docker == OURS


def read(config_file: str, host: str, environ: Mapping[str, str] = os.environ) -> Reading:
    """Look for the login as both do, in the file that they would read; `config_file` is the one that we serve."""
    file = their_file(environ) or config_file
    memory = _memory(config_file)

    def verdict(find: Callable[[], Found]) -> str:
        if os.path.exists(file) and not os.access(file, os.R_OK, effective_ids=True):
            return UNREADABLE
        found = find()
        if found is None:
            return NONE
        auth = base64.b64encode(f"{found[0]}:{found[1].reveal()}".encode()).decode()
        return ANOTHER if docker_memory.match(memory, host, auth) is None else OURS

    return Reading(
        file, verdict(lambda: _by_docker_py(file, host, environ)), verdict(lambda: _by_docker(file, host, environ))
    )


def their_file(environ: Mapping[str, str]) -> str | None:
    """Where they look: `$DOCKER_CONFIG`, else `~/.docker`; None for somebody without a home."""
    folder = environ.get("DOCKER_CONFIG") or (os.path.join(environ["HOME"], ".docker") if environ.get("HOME") else None)
    return None if folder is None else os.path.join(folder, "config.json")


def _memory(config_file: str) -> Memory:
    place = Place(*os.path.split(os.path.realpath(config_file)))
    try:
        with Folder(place.folder) as folder:
            return docker_memory.recall(folder, place.memory)
    except Failed:
        return {}


def _by_docker_py(file: str, host: str, environ: Mapping[str, str]) -> Found:
    """Ask docker-py itself; whatever it stumbles over, a pull would stumble over as well."""
    import docker.auth

    try:
        found = docker.auth.load_config(file, credstore_env=dict(environ)).resolve_authconfig(host)
    except Exception:  # noqa: BLE001 - its errors may quote the file
        return None
    if not found:
        return None
    found = {key.lower(): value for key, value in found.items()}
    if not found.get("password"):
        return None
    return str(found.get("username") or ""), Secret(str(found["password"]))


def _by_docker(file: str, host: str, environ: Mapping[str, str]) -> Found:
    """Do as the docker command: the helper that claims the host, else `auths` by the host, else by a URL of it."""
    place = Place(*os.path.split(os.path.realpath(file)))
    try:
        with Folder(place.folder) as folder:
            _, document = docker_login.read(folder, place, None)
        name = document.helper_for(host)
        if name is not None:
            return Helper(name, environ).get(host)
        auth = document.auth(host)
        for other in () if document.names(host) else document.twins(host):
            auth = auth or document.auth(other)
        username, colon, password = base64.b64decode(auth or "").decode().partition(":")
    except (Failed, ValueError):
        return None
    return (username, Secret(password.strip("\0"))) if colon else None
