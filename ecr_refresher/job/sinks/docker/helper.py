"""Credential helpers: programs `docker-credential-NAME` that keep logins for the docker command.

Their protocol is a word as argument, a text on standard input, JSON on standard output. docker-py's own client for
them is not used: it has no timeout, passes the helper's standard error on, and puts the helper's output, which may
quote a secret, into its errors. Helpers only run in a child of `child.py`, as the file's user and without a terminal.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

from ....core.budgets import HELPER_MAX, HELPER_S
from ....core.model import Failed, Reason, Secret
from .document import Document
from .processes import OutOfBoundsError, run

ECR_LOGIN = "ecr-login"  # fetches a token itself whenever it is asked; its `store` says 'not implemented'
PREFIX = "docker-credential-"


def refuse_foreign(document: Document, name: str) -> None:
    """Refuse to run, with our rights, the helper that another user's file names; root's file may. Raises Failed."""
    if document.uid not in (0, os.geteuid()):
        what = (
            f"{document.path} belongs to uid {document.uid} and names {PREFIX}{name}, to be run as uid {os.geteuid()}"
        )
        fix = f'Set owner: "{document.uid}"' if os.geteuid() == 0 else "Run as that user"
        raise Failed(Reason.DENIED, what, f"{fix}, or chown the file to uid {os.geteuid()}")


class _Kept(Struct):
    Username: str  # as the helpers spell it
    Secret: str


@dataclass(frozen=True, slots=True)
class Helper:
    """One helper program, and the file that names it."""

    name: str
    named_in: Document
    environ: Mapping[str, str] = field(repr=False)

    def get(self, host: str) -> tuple[str, Secret] | None:
        """Return the user name and secret that it keeps for the host; None if it has none.

        Helpers say 'none' in words of their own and exit 1, so a failing `get` is none as well. Raises Failed.
        """
        status, output = self._run("get", host.encode())
        if status:
            return None
        try:
            kept = msgspec.json.decode(output, type=_Kept)
        except (msgspec.MsgspecError, RecursionError):
            raise self._failed("get", "its answer is not a JSON object with Username and Secret") from None
        # `pass` answers with empty texts for none.
        return (kept.Username, Secret(kept.Secret)) if kept.Username or kept.Secret else None

    def store(self, host: str, username: str, secret: Secret) -> None:
        """Have it keep this login, which goes by standard input only. Raises Failed."""
        order = {"ServerURL": host, "Username": username, "Secret": secret.reveal()}
        status, output = self._run("store", json.dumps(order).encode())
        if status and b"not implemented" in output:
            what = f"{PREFIX}{self.name} can't store logins"
            raise Failed(Reason.INVALID, what, f"Name another helper for {host} in `credHelpers`")
        if status:
            raise self._failed("store", f"exit status {status}")

    def program(self) -> str | None:
        """Its path, if it is on PATH."""
        return shutil.which(PREFIX + self.name, path=self.environ.get("PATH", os.defpath))

    def _run(self, word: str, order: bytes) -> tuple[int, bytes]:
        refuse_foreign(self.named_in, self.name)
        program = self.program()
        if program is None:
            name = f"the credential helper {PREFIX}{self.name}"
            what = f"config.json names {name}, which is not on PATH for uid {os.geteuid()}"
            fix = "Install it where that user may run it, or remove it from `credHelpers` or `credsStore`"
            raise Failed(Reason.MISSING, what, fix)
        try:
            return run(
                [program, word], order, seconds=HELPER_S, most=HELPER_MAX, environ=self.environ, own_session=False
            )
        except PermissionError:
            what = f"uid {os.geteuid()} may not run {program}, or its interpreter"
            raise Failed(Reason.DENIED, what, "Let that user read and run it") from None
        except OutOfBoundsError as error:
            problem = str(error)
        except OSError as error:
            problem = error.strerror or "could not be started"
        raise self._failed(word, problem)

    def _failed(self, word: str, problem: str) -> Failed:
        fix = f"Run `{PREFIX}{self.name} list` by hand (its output is not shown here)"
        return Failed(Reason.TRANSIENT, f"{PREFIX}{self.name} {word}: {problem}", fix)
