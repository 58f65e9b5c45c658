"""What root does with a file for another user: by a child that becomes that user before it touches anything.

Root in a directory that somebody else may rearrange can be led anywhere; the user can't do more than the user may.
The child is a fresh interpreter, since forking a process with threads is not safe. It becomes the user only after
its imports: the interpreter and its libraries may lie where that user can't read. The logins come by standard
input, the results go by standard output.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ....core.model import Failed, Outcome, Reason, Secret
from ...files import examination as file_examination
from ...files.atomic_file import Ownership
from ...files.examination import Examination
from . import login as docker_login
from . import readers as docker_readers
from .helper import User, environ_of
from .login import Login, Result, Written
from .readers import Reading

TIMEOUT_S = 15.0
_KEPT = {"PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME"}


def other_user(uid: int | None, gid: int | None) -> User | None:
    """Whom root has to become for this owner; None if the write is done as who we are."""
    if os.geteuid() != 0 or uid in (None, 0):
        return None
    return User(uid, _own_group(uid) if gid is None else gid)


def _own_group(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid  # nobody we know, as in a container: by custom each user has a group of the same number


def write(config_file: str, owner: Ownership, logins: Sequence[Login], user: User) -> list[Result]:
    """Do `docker_login.write` as that user. Raises Failed."""
    _make_first_directory(os.path.dirname(config_file), user)
    order = [
        {
            "host": login.host,
            "auth": login.auth.reveal(),
            "issued_at": login.issued_at,
            "expires_at": login.expires_at,
            "helper": login.helper,
        }
        for login in logins
    ]
    answer = _ordered(user, "write", config_file, owner=asdict(owner), logins=order)
    return [_result(result) for result in answer["results"]]


def examine(config_file: str, ours: Sequence[str], user: User) -> Examination:
    """Do `file_examination.examine` as that user. Raises Failed."""
    return Examination(**_ordered(user, "examine", config_file, ours=ours))


def read(config_file: str, host: str, user: User) -> Reading:
    """Do `docker_readers.read` as that user, in that user's surroundings. Raises Failed."""
    return Reading(**_ordered(user, "read", config_file, host=host, environ=environ_of(os.environ, user)))


def _ordered(user: User, act: str, config_file: str, **more: Any) -> dict[str, Any]:
    """Have a child do it; gives its answer. Raises Failed."""
    order = {"user": asdict(user), "act": act, "config_file": config_file, **more}
    environ = {key: value for key, value in os.environ.items() if key in _KEPT}
    answer: dict[str, Any] | None = None
    problem = "gave no answer"
    try:
        ended = subprocess.run(  # noqa: S603 - our own module in our own interpreter
            [sys.executable, "-P", "-m", __spec__.name],
            input=json.dumps(order).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
            env=environ,
            cwd="/",
        )
        answer = json.loads(ended.stdout)
    except subprocess.TimeoutExpired:
        problem = f"did not end within {TIMEOUT_S:.0f} s"
    except (OSError, ValueError):
        pass
    if answer is None:
        what = "writes" if act == "write" else "looks at"
        raise Failed(Reason.TRANSIENT, f"{config_file}: the child that {what} it for uid {user.uid} {problem}")
    if "reason" in answer:
        raise _failed(answer)
    return answer


def _result(told: dict[str, str]) -> Result:
    if not told:
        return None
    return _failed(told) if "reason" in told else Written(Outcome(told["outcome"]), told["base"], told["witness"])


def _failed(told: dict[str, str]) -> Failed:
    return Failed(Reason(told["reason"]), told["message"])


def _make_first_directory(path: str, user: User) -> None:
    """Make the first missing directory, where only root may, and give it to the user; the child makes the rest.

    Only below directories that are root's alone: anywhere else the name could be made to mean something else
    between the making and the giving. There the child tries, and tells.
    """
    above = "/"
    with contextlib.suppress(OSError):  # the child's own attempt tells what is wrong
        for part in filter(None, path.split("/")):
            seen = os.lstat(above)
            if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != 0 or seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return
            above = os.path.join(above, part)
            if not os.path.lexists(above):
                os.mkdir(above, 0o700)
                os.chown(above, user.uid, user.gid, follow_symlinks=False)
                return


def main() -> None:
    """The child: read the order, become the user, write, answer."""
    signal.alarm(int(TIMEOUT_S) + 5)
    try:
        answer = _obey(json.load(sys.stdin.buffer))
    except Failed as error:
        answer = _told(error)
    except Exception as error:  # noqa: BLE001 - told by its type only: its text might quote what was read
        answer = {"reason": Reason.INTERNAL, "message": f"{type(error).__name__} while writing config.json"}
    json.dump(answer, sys.stdout)


def _obey(order: dict[str, Any]) -> dict[str, Any]:
    user, act = User(**order.pop("user")), order.pop("act")
    if act == "read":
        import docker.auth  # noqa: F401 - before the change of user
    try:
        os.setgroups([])
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
    except PermissionError:
        mend = "grant the capabilities SETUID and SETGID, or run as that user"
        raise Failed(Reason.DENIED, f"uid 0 may not become uid {user.uid} here; {mend}") from None
    if act == "examine":
        return asdict(file_examination.examine(**order))
    if act == "read":
        return asdict(docker_readers.read(**order))
    logins = [Login(auth=Secret(login.pop("auth")), **login) for login in order["logins"]]
    results, _ = docker_login.write(order["config_file"], Ownership(**order["owner"]), logins)
    return {"results": [_told(result) for result in results]}


def _told(result: Result) -> dict[str, str]:
    match result:
        case Written(outcome, base, witness):
            return {"outcome": outcome, "base": base, "witness": witness}
        case Failed(failure=failure):
            return {"reason": failure.reason, "message": failure.message}
        case None:
            return {}


if __name__ == "__main__":
    main()
