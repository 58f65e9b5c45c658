"""The container engine, Docker's or Podman's: a client, its errors in our words, the proof of a login, and mounts."""

import contextlib
import grp
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...core import budgets
from ...core.model import Credential, Failed, Reason
from ...core.plan import Engine

if TYPE_CHECKING:
    from docker import APIClient

TIMEOUT_S = 8
_NO_LOGINS = Path(__file__).with_name("no_logins")
_UNTRUSTED = re.compile(r"x509|certificate", re.IGNORECASE)
_REFUSED = re.compile(r"\b40[13]\b|unauthorized|denied|incorrect username", re.IGNORECASE)


def ignore_users_logins() -> None:
    """Have docker-py read an empty `config.json` from now on, in this process. To be called before threads start.

    docker-py reads the user's file whenever a client is made, and asks the helpers in it before a login. So an entry
    that it can't read, or a missing helper, would end every proof and cleanup.
    """
    os.environ["DOCKER_CONFIG"] = str(_NO_LOGINS)


def version(engine: Engine) -> str:
    """Ask which engine answers, e.g. `Docker 20.10.24, API 1.41`. Raises Failed."""
    with connected(engine) as api:
        answer = api.version()
    names = [str(part.get("Name")) for part in answer.get("Components") or ()]
    name = "Podman" if any(name.startswith("Podman") for name in names) else "Docker"
    return f"{name} {answer.get('Version')}, API {answer.get('ApiVersion')}"


def login(engine: Engine, host: str, credential: Credential) -> None:
    """Have the engine try the login at the registry. Raises Failed; every finding is a warning."""
    from docker.errors import APIError

    with connected(engine) as api:
        try:
            # Without reauth docker-py answers a second login from its memory, without asking the engine.
            api.login(
                credential.username,
                credential.secret.reveal(),
                registry=host,
                reauth=True,
                dockercfg_path=str(_NO_LOGINS / "config.json"),
            )
        except APIError as error:
            # Docker and Podman answer 500 to a wrong login, with the registry's text. It may quote, so only its kind
            # is kept.
            status, text = error.status_code, str(error.explanation)
        else:
            return
    what = f"the engine at {engine.url} could not log in at {host}"
    if _UNTRUSTED.search(text):
        fix = f"Put the registry's CA into /etc/docker/certs.d/{host}/ca.crt (Podman: /etc/containers/certs.d/{host}/)"
        raise Failed(Reason.DENIED, f"{what}: it does not trust the registry's certificate", fix)
    if _REFUSED.search(text):
        fix = "Check the role's rights, and that the engine reaches the registry itself and not a proxy"
        raise Failed(Reason.DENIED, f"{what}: the registry refused the token", fix)
    raise Failed(Reason.TRANSIENT, f"{what} (status {status})", "See the engine's log")


def containers_that_mount(engine: Engine, path: str) -> list[str]:
    """Names of running containers that mount this very file, and not its directory. Raises Failed."""
    with connected(engine, answer_max=budgets.ENGINE_LIST_MAX) as api:
        running: list[dict[str, Any]] = api.containers()
    return [
        str((container.get("Names") or [container.get("Id", "")])[0]).lstrip("/")
        for container in running
        if any(mount.get("Source") == path for mount in container.get("Mounts") or ())
    ]


@contextlib.contextmanager
def connected(
    engine: Engine, timeout_s: int = TIMEOUT_S, answer_max: int = budgets.ENGINE_ANSWER_MAX
) -> Iterator["APIClient"]:
    """A client of the engine, which has answered. What goes wrong with the engine inside is raised as Failed."""
    from docker.errors import APIError, DockerException
    from docker.tls import TLSConfig

    from .engine_client import BoundedClient

    shown = (engine.tls_cert, engine.tls_key) if engine.tls_cert and engine.tls_key else None
    tls = TLSConfig(client_cert=shown, ca_cert=engine.tls_ca, verify=True) if shown or engine.tls_ca else None
    try:
        with contextlib.closing(BoundedClient(engine.url, answer_max, timeout_s, tls)) as api:
            yield api
    except APIError as error:
        what = f"the engine at {engine.url} answered {error.status_code}"
        raise Failed(Reason.TRANSIENT, what, "See the engine's log") from None
    except (DockerException, OSError) as error:  # those of requests are OSErrors
        if isinstance(error.__cause__, Failed):  # of a client that could not be made
            raise error.__cause__ from None
        raise Failed(Reason.TRANSIENT, *_unreachable(engine.url, error, timeout_s)) from None


def _unreachable(url: str, error: Exception, timeout_s: float) -> tuple[str, str]:
    text = f"{error} {error.__cause__}"
    if "Permission denied" in text:
        return f"uid {os.geteuid()} may not open the engine's socket {url}", _join(url)
    if "FileNotFound" in text or "No such file" in text:
        return f"there is no engine at {url}", "Start it, or mount its socket"
    if "Connection refused" in text or "ConnectionRefused" in text:
        return f"nothing answers at {url}", "Start the engine (systemctl start docker, or podman.socket)"
    if "timed out" in text.lower():
        return f"the engine at {url} did not answer within {timeout_s:g} s", "See the engine's log"
    what = f"the engine at {url} can't be reached ({type(error).__name__})"
    return what, "Check the address, and that the engine runs"


def _join(url: str) -> str:
    """Which group to join: the one that owns the socket."""
    path = urlsplit(url).path
    try:
        owner = os.stat(path)
    except OSError:
        return f"Let this user into the directories above {path}"
    name = "without a name here"
    with contextlib.suppress(KeyError):
        name = grp.getgrgid(owner.st_gid).gr_name
    if not owner.st_mode & stat.S_IWGRP:
        return f"Run chmod g+rw {path}, and join the group {name} (gid {owner.st_gid})"
    return (
        f"Join the group {name} (gid {owner.st_gid}): usermod -aG, SupplementaryGroups= of systemd, "
        f"--group-add {owner.st_gid} or supplementalGroups of a container"
    )
