"""Secrets where the settings refer to them: read afresh at each pass, hidden from every message."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from ... import logs
from ...core.model import Failed, Reason, Secret
from ...core.plan import SecretRef

FILE_MAX = 65_536


def read_secret(ref: SecretRef, environ: Mapping[str, str] = os.environ) -> Secret:
    """Read a secret from its file or variable; one line end at its end is not part of it.

    Raises Failed: `missing` where there is none (yet), `denied` where it may not be read.
    """
    text = _from_env(ref.where, environ) if ref.kind == "env" else _from_file(ref.where)
    if not text:
        raise Failed(Reason.MISSING, f"{describe(ref)} is empty; put the secret there")
    return logs.hide(Secret(text))


def describe(ref: SecretRef) -> str:
    """Name the place of a secret in a message."""
    return f"the environment variable {ref.where}" if ref.kind == "env" else f"the file {ref.where}"


def _from_env(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise Failed(Reason.MISSING, f"the environment variable {name} is not set; set it, or name a file")
    return environ[name]


def _from_file(path: str) -> str:
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_mode & stat.S_IROTH:
                logs.get().warning("secret_world_readable", error=f"everybody may read {path}; chmod o-r it")
            raw = file.read(FILE_MAX + 1)
    except FileNotFoundError:
        raise Failed(Reason.MISSING, f"the file {path} is not there (yet); create it with the secret in it") from None
    except PermissionError:
        raise Failed(Reason.DENIED, f"the file {path} may not be read by uid {os.geteuid()}; grant it") from None
    except OSError as error:
        raise Failed(Reason.INVALID, f"the file {path} can't be read: {error.strerror}") from None
    if len(raw) > FILE_MAX:
        raise Failed(Reason.INVALID, f"the file {path} is larger than {FILE_MAX} bytes, so it is no secret file")
    try:
        return raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Failed(Reason.INVALID, f"the file {path} is no UTF-8 text") from None
