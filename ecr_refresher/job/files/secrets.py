"""Reads the secrets that settings refer to, afresh at each pass, and hides them from every message."""

import os
import stat
from collections.abc import Callable, Mapping

from ... import logs
from ...core.budgets import SECRET_MAX
from ...core.model import Failed, Reason, Secret
from ...core.plan import SecretRef
from ...core.printable import is_utf8
from .paths import resolve

ReadSecret = Callable[[SecretRef], Secret]
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # non-blocking: a FIFO must not hang the pass


def read_secret(ref: SecretRef, environ: Mapping[str, str] = os.environ) -> Secret:
    """Read a secret without the line end at its end. Raises Failed: `missing` if there is none yet, or `denied`."""
    if ref.kind == "file":
        text = _from_file(ref.where)
    elif ref.where in environ:
        text = environ[ref.where]
    else:
        raise Failed(Reason.MISSING, f"{describe(ref)} is not set", "Set it, or name a file instead")
    if not is_utf8(text):
        raise Failed(Reason.INVALID, f"{describe(ref)} is not UTF-8 text", "Write the secret as plain text")
    if not text:
        raise Failed(Reason.MISSING, f"{describe(ref)} is empty", "Put the secret there")
    return logs.hide(Secret(text))


def describe(ref: SecretRef) -> str:
    """Name the place of a secret in a message."""
    return f"the environment variable {ref.where}" if ref.kind == "env" else f"the file {ref.where}"


def _from_file(path: str) -> str:
    try:
        descriptor = os.open(path, _READ)
        try:
            seen = os.fstat(descriptor)
            if not stat.S_ISREG(seen.st_mode):
                raise Failed(Reason.INVALID, f"{path} is not a regular file", "Name a file that holds the secret")
            if os.geteuid() == 0:
                _refuse_led(path, descriptor)
            with open(descriptor, "rb", closefd=False) as file:
                raw = file.read(SECRET_MAX + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        what = f"the file {path} does not exist (yet)"
        raise Failed(Reason.MISSING, what, "Create it with the secret in it") from None
    except PermissionError:
        what = f"uid {os.geteuid()} may not read the file {path}"
        raise Failed(Reason.DENIED, what, "Let that user read it") from None
    except OSError as error:
        what = f"the file {path} can't be read: {error.strerror}"
        raise Failed(Reason.INVALID, what, "Name a file that holds the secret") from None
    if seen.st_mode & stat.S_IROTH:
        logs.get().warning("secret_world_readable", error=f"everybody may read {path}", fix=f"Run chmod o-r {path}")
    if len(raw) > SECRET_MAX:
        what = f"the file {path} is larger than {SECRET_MAX} bytes"
        raise Failed(Reason.INVALID, what, "Name a file that holds nothing but the secret")
    return raw.decode(errors="surrogateescape").removesuffix("\n").removesuffix("\r")  # as the environment has it


def _refuse_led(path: str, descriptor: int) -> None:
    """Refuse what a link on a path that another user controls has led root to. Raises Failed.

    It may be root's own file, and would be sent as a password to a server that may be that user's.
    """
    path = os.path.abspath(path)
    try:
        resolve(path, roots_only=True)
    except Failed:
        if os.readlink(f"/proc/self/fd/{descriptor}") != path:
            what = f"{path} is reached by a link, and another user controls a part of that path"
            raise Failed(Reason.DENIED, what, "Name the file itself, without links") from None
