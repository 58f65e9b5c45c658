"""Credential helpers: programs `docker-credential-NAME` that keep logins for the docker command.

Their protocol is a word as argument, a text on standard input, JSON on standard output. docker-py's own client for
them is not used: it knows no timeout, lets the helper's standard error through to our log, and puts the helper's
output, which may quote a secret, into its errors.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ....core.model import Failed, Reason, Secret

ECR_LOGIN = "ecr-login"  # fetches by itself whenever it is asked; its `store` says 'not implemented'
PREFIX = "docker-credential-"
TIMEOUT_S = 10.0
_NOT_FOUND = b"credentials not found in native keychain"  # the helpers' library says so on standard output
_NOT_IMPLEMENTED = b"not implemented"
_FOR_ANOTHER_USER = {"PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH"}


@dataclass(frozen=True, slots=True)
class User:
    """Somebody else to act as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Helper:
    """One helper program, run as ourselves or as the user whose `config.json` names it."""

    name: str
    environ: Mapping[str, str] = field(repr=False)
    user: User | None = None

    def get(self, host: str) -> tuple[str, Secret] | None:
        """Give the user name and secret it keeps for the host, None if there are none. Raises Failed."""
        status, output = self._run("get", host.encode())
        if status:
            if _NOT_FOUND in output:
                return None
            raise self._failed("get", f"exit status {status}")
        answer = _answer(output)
        if answer is None:
            raise self._failed("get", "its answer is no JSON object with Username and Secret")
        username, secret = answer
        return (username, Secret(secret)) if username or secret else None  # `pass` answers with empty texts for none

    def store(self, host: str, username: str, secret: Secret) -> None:
        """Have it keep this login; it goes by standard input only. Raises Failed."""
        order = {"ServerURL": host, "Username": username, "Secret": secret.reveal()}
        status, output = self._run("store", json.dumps(order).encode())
        if status and _NOT_IMPLEMENTED in output:
            what = f"{PREFIX}{self.name} can't store logins; take {host} from it: set another helper in `credHelpers`"
            raise Failed(Reason.INVALID, what)
        if status:
            raise self._failed("store", f"exit status {status}")

    def program(self) -> str | None:
        """Where it is on PATH."""
        return shutil.which(PREFIX + self.name, path=self.environ.get("PATH", os.defpath))

    def _run(self, word: str, order: bytes) -> tuple[int, bytes]:
        """Run it within the timeout. It stays in our process group, with which it dies at the latest."""
        program = self.program()
        if program is None:
            what = f"config.json names the credential helper {PREFIX}{self.name}, which is not on PATH"
            raise Failed(Reason.MISSING, f"{what}; install it, or take it out of `credHelpers` or `credsStore`")
        try:
            ended = subprocess.run(  # noqa: S603 - the helper that the user's config.json names, as the docker command
                [program, word],
                input=order,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=TIMEOUT_S,
                check=False,
                env=environ_of(self.environ, self.user),
                user=self.user.uid if self.user else None,
                group=self.user.gid if self.user else None,
                extra_groups=[] if self.user else None,
            )
        except subprocess.TimeoutExpired:
            problem = f"no answer within {TIMEOUT_S:.0f} s"
        except PermissionError:
            problem = None
        except OSError as error:
            problem = error.strerror or "could not be started"
        else:
            return ended.returncode, ended.stdout
        if problem is None:
            uid = self.user.uid if self.user else os.geteuid()
            raise Failed(Reason.DENIED, f"uid {uid} may not run {program}, or what interprets it; grant it")
        raise self._failed(word, problem)

    def _failed(self, word: str, problem: str) -> Failed:
        what = f"{PREFIX}{self.name} {word}: {problem}"
        return Failed(
            Reason.TRANSIENT, f"{what}; try `{PREFIX}{self.name} list` by hand (its output is not shown here)"
        )


def _answer(output: bytes) -> tuple[str, str] | None:
    try:
        answer: Any = json.loads(output)
        username, secret = answer["Username"], answer["Secret"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return (username, secret) if isinstance(username, str) and isinstance(secret, str) else None


def environ_of(environ: Mapping[str, str], user: User | None) -> dict[str, str]:
    """Ours without our own settings; for another user only what is nobody's secret, and their own home."""
    if user is None:
        return {key: value for key, value in environ.items() if not key.startswith("ECR_REFRESHER_")}
    kept = {key: value for key, value in environ.items() if key in _FOR_ANOTHER_USER}
    try:
        entry = pwd.getpwuid(user.uid)
    except KeyError:
        return kept
    return {**kept, "HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name}
