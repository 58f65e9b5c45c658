"""The Docker engine: has it prove a login, as the `docker login` command does. Nothing is kept there."""

from __future__ import annotations

import contextlib
from typing import Any

from ..core.model import Credential, Failed, Reason
from ..core.plan import Engine

TIMEOUT_S = 8


def login(engine: Engine, host: str, credential: Credential) -> None:
    """Have the engine try the login at the registry. Raises Failed; every finding is a warning."""
    import docker
    from docker.errors import APIError, DockerException
    from docker.tls import TLSConfig

    tls: Any = None
    if engine.tls_cert and engine.tls_key:
        tls = TLSConfig(client_cert=(engine.tls_cert, engine.tls_key), ca_cert=engine.tls_ca, verify=True)
    elif engine.tls_ca:
        tls = TLSConfig(ca_cert=engine.tls_ca, verify=True)
    try:
        made = docker.DockerClient(base_url=engine.url, version="auto", timeout=TIMEOUT_S, tls=tls or False)
        with contextlib.closing(made) as client:
            # Without reauth a second login is answered from docker-py's memory without asking anybody.
            client.login(credential.username, credential.secret.reveal(), registry=host, reauth=True)
    except APIError as error:
        # The engine answers 500 to a wrong login, with the registry's text; that text is not kept: it may quote.
        raise Failed(
            Reason.DENIED,
            f"the engine at {engine.url} could not log in at {host} ({error.status_code}); see journalctl -u docker",
        ) from None
    except (DockerException, OSError) as error:
        raise Failed(Reason.TRANSIENT, _unreachable(engine.url, error)) from None


def _unreachable(url: str, error: Exception) -> str:
    text = f"{error} {error.__cause__}"
    if "Permission denied" in text:
        return f"the engine's socket {url} may not be opened; add this user to the group that owns it (docker)"
    if "FileNotFound" in text or "No such file" in text:
        return f"there is no engine at {url}; start it, or mount its socket"
    return f"the engine at {url} can't be reached ({type(error).__name__})"
