"""The Docker engine: a client of it, its errors in our words, and the proof of a login, which leaves nothing there."""

from __future__ import annotations

import contextlib
import grp
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...core.model import Credential, Failed, Reason
from ...core.plan import Engine

if TYPE_CHECKING:
    from docker import APIClient

TIMEOUT_S = 8


def version(engine: Engine) -> str:
    """Ask which engine answers, e.g. `20.10.24, API 1.41`. Raises Failed."""
    with told(engine), contextlib.closing(client(engine)) as api:
        answer = api.version()
        return f"{answer.get('Version')}, API {answer.get('ApiVersion')}"


def login(engine: Engine, host: str, credential: Credential) -> None:
    """Have the engine try the login at the registry. Raises Failed; every finding is a warning."""
    from docker.errors import APIError

    with told(engine), contextlib.closing(client(engine)) as api:
        try:
            # Without reauth a second login is answered from docker-py's memory without asking anybody.
            api.login(credential.username, credential.secret.reveal(), registry=host, reauth=True)
        except APIError as error:
            # The engine answers 500 to a wrong login, with the registry's text; it is not kept: it may quote.
            status = error.status_code
        else:
            return
    raise Failed(
        Reason.DENIED,
        f"the engine at {engine.url} could not log in at {host} ({status}); it may not trust the "
        f"registry's CA (/etc/docker/certs.d/{host}/ca.crt): see journalctl -u docker",
    )


def client(engine: Engine, timeout_s: int = TIMEOUT_S) -> APIClient:
    """A client of the engine, which has answered with its version. Use it within `told`."""
    from docker import APIClient
    from docker.tls import TLSConfig

    tls: Any = None
    if engine.tls_cert and engine.tls_key:
        tls = TLSConfig(client_cert=(engine.tls_cert, engine.tls_key), ca_cert=engine.tls_ca, verify=True)
    elif engine.tls_ca:
        tls = TLSConfig(ca_cert=engine.tls_ca, verify=True)
    return APIClient(base_url=engine.url, version="auto", timeout=timeout_s, tls=tls or False)


@contextlib.contextmanager
def told(engine: Engine, timeout_s: float = TIMEOUT_S) -> Iterator[None]:
    """Raise what goes wrong with the engine inside as Failed; the original error is not attached."""
    from docker.errors import APIError, DockerException

    try:
        yield
    except APIError as error:
        said = Failed(Reason.TRANSIENT, f"the engine at {engine.url} refused a request ({error.status_code})")
    except (DockerException, OSError) as error:  # those of requests are OSErrors
        said = Failed(Reason.TRANSIENT, _unreachable(engine.url, error, timeout_s))
    else:
        return
    raise said


def _unreachable(url: str, error: Exception, timeout_s: float) -> str:
    text = f"{error} {error.__cause__}"
    if "Permission denied" in text:
        return f"the engine's socket {url} may not be opened by uid {os.geteuid()}; {_join(url)}"
    if "FileNotFound" in text or "No such file" in text:
        return f"there is no engine at {url}; start it, or mount its socket"
    if "Connection refused" in text or "ConnectionRefused" in text:
        return f"nobody answers at {url}; start the engine (systemctl start docker)"
    if "timed out" in text.lower():
        return f"the engine at {url} did not answer within {timeout_s:g} s; see journalctl -u docker"
    return f"the engine at {url} can't be reached ({type(error).__name__}); is it up, and the address right?"


def _join(url: str) -> str:
    """Which group to join: the one that owns the socket."""
    path = urlsplit(url).path
    try:
        owner = os.stat(path)
    except OSError:
        return f"let this user into the directories above {path}"
    try:
        name = grp.getgrgid(owner.st_gid).gr_name
    except KeyError:
        name = "without a name here"
    if not owner.st_mode & stat.S_IWGRP:
        return f"its group may not write to it: chmod g+rw {path}, and join the group {name} (gid {owner.st_gid})"
    return (
        f"join the group {name} (gid {owner.st_gid}): usermod -aG, SupplementaryGroups= of systemd, "
        f"--group-add {owner.st_gid} or supplementalGroups of a container"
    )
