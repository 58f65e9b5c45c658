"""Does an act of acts.py in a child process: as the file's owner, and whenever a helper may run.

Root in a directory that another user may rearrange can be led anywhere; the user's own process can't do more than the
user may. A helper is a foreign program. So both run in a session of their own, without a terminal, with bounds on
memory, output and time, and end with their parent. What a helper starts ends with the child, a daemon too.

The child is a fresh interpreter, since forking a process with threads is not safe. It becomes the user only after its
imports: the interpreter and its libraries may be where that user can't read. Until then it must not know that user's
home, from where Python would run code as it starts (see the standard library's `site`).

The order comes as one line on standard input, the answer goes to standard output.
"""

import contextlib
import os
import pwd
import signal
import stat
import sys
import threading
from typing import Any

import msgspec
from msgspec import Raw, Struct

from ....core import budgets
from ....core.model import Failed, Failure, Reason, Secret
from ... import orphans
from ...files.paths import others_may_write
from . import acts, bounds
from .acts import A, Act, Environ, G
from .messages import ConfigFile, Refused
from .processes import OutOfBoundsError, run

_FOR_ANOTHER_USER = {"PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH"}
_FOR_THE_INTERPRETER = {"PYTHONPATH", "PYTHONHOME"}
_TEXT_MAX = 2000  # characters of a message or fix


class User(Struct, frozen=True, forbid_unknown_fields=True):
    """A user to become: with the groups that `name` has, and one more group that files may be given."""

    uid: int
    gid: int
    file_gid: int
    name: str = ""
    home: str = ""


class _Order(Struct, frozen=True, forbid_unknown_fields=True):
    file: ConfigFile
    act: str
    given: Raw
    user: User | None = None


# --- the parent ----------------------------------------------------------------------------------------------------
def other_user(uid: int | None, gid: int | None) -> User | None:
    """The user that root has to become for this owner; None if we act as who we are."""
    if os.geteuid() != 0 or uid in (None, 0):
        return None
    try:
        known = pwd.getpwuid(uid)
    except KeyError:  # a container's user, say: the given group is the user's own, unless it is root's
        own = gid or uid
        return User(uid, own, own if gid is None else gid)
    return User(uid, known.pw_gid, known.pw_gid if gid is None else gid, known.pw_name, known.pw_dir)


def ask(file: ConfigFile, act: Act[G, A], given: G, user: User | None, environ: Environ) -> A:
    """Have a child do it, as that user if one is given. Raises Failed."""
    if user is not None and act is acts.WRITE:
        _make_first_directory(os.path.dirname(file.path), user)
    what = Raw(msgspec.json.encode(given, enc_hook=Secret.reveal))
    order = msgspec.json.encode(_Order(file, act.do.__name__, what, user))
    who = f"the child of uid {os.geteuid() if user is None else user.uid} that handles it"
    try:
        status, output = run(
            [sys.executable, "-P", "-m", __spec__.name],
            order + b"\n",
            seconds=budgets.HELPER_CHILD_S if act.runs_helpers else budgets.CHILD_S,
            most=budgets.child_max(file.logins),
            environ=_environ_of(environ, user),
            own_session=True,
        )
        answer: A | Refused = msgspec.json.decode(output, type=act.answer | Refused)
    except OutOfBoundsError as error:
        problem = f"gave {error}" if "no answer" in str(error) else str(error)
    except OSError as error:
        problem = f"could not be started: {error.strerror}"
    except msgspec.MsgspecError:
        problem = f"ended with status {status} and no answer"
    else:
        if isinstance(answer, Refused):
            raise Failed(answer.failure.reason, answer.failure.message[:_TEXT_MAX], answer.failure.fix[:_TEXT_MAX])
        return answer
    raise Failed(Reason.TRANSIENT, f"{file.path}: {who} {problem}", "Check that user's processes, memory and disk")


def _environ_of(environ: Environ, user: User | None) -> dict[str, str]:
    """Ours without our own settings; for another user only what is no secret. The home comes with the order."""
    if user is None:
        return {key: value for key, value in environ.items() if not key.startswith("ECR_REFRESHER_")}
    kept = {key: value for key, value in environ.items() if key in _FOR_ANOTHER_USER | _FOR_THE_INTERPRETER}
    if os.path.isdir(f"/run/user/{user.uid}"):
        kept["XDG_RUNTIME_DIR"] = f"/run/user/{user.uid}"
    return kept | ({"USER": user.name, "LOGNAME": user.name} if user.name else {})


def _make_first_directory(path: str, user: User) -> None:
    """Make the first missing directory where only root may, and give it to the user; the child makes the rest.

    Only below directories that root alone controls: elsewhere another user could replace the directory before it is
    given away. There the child tries itself, and says what fails.
    """
    above = "/"
    with contextlib.suppress(OSError):
        for part in filter(None, path.split("/")):
            seen = os.lstat(above)
            if not stat.S_ISDIR(seen.st_mode) or others_may_write(above, seen):
                return
            above = os.path.join(above, part)
            if not os.path.lexists(above):
                os.mkdir(above, 0o700)
                os.chown(above, user.uid, user.file_gid, follow_symlinks=False)
                return


# --- the child -----------------------------------------------------------------------------------------------------
def main() -> None:
    """Read the order, become the user, act, answer."""
    with open(0, "rb", closefd=False) as orders:
        order = msgspec.json.decode(orders.readline(), type=_Order)
    act = acts.BY_NAME[order.act]
    threading.stack_size(512 << 10)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in _FOR_THE_INTERPRETER:
        os.environ.pop(name, None)
    try:
        bounds.limit_memory(budgets.HELPER_MEMORY if act.runs_helpers else budgets.child_memory(order.file.logins))
        orphans.adopt()
        if act is acts.READ:
            import docker.auth  # noqa: F401 - before the change of user
        if order.user is not None:
            if act.runs_helpers:
                bounds.shrink_file_systems_in_memory(order.file.path)
            _become(order.user)
            bounds.go_on_without_parent()
            if act.runs_helpers:
                bounds.limit_processes()
        given = msgspec.json.decode(order.given, type=act.given, dec_hook=lambda kind, text: kind(text))
        answer: Any = act.do(order.file, given, os.environ)
    except Failed as error:
        answer = Refused(error.failure)
    except MemoryError:
        what = f"{order.file.path} needs more than {budgets.child_memory(order.file.logins) >> 20} MiB to be read"
        answer = Refused(Failure(Reason.INVALID, what, "Remove what does not belong there"))
    except Exception as error:  # noqa: BLE001 - only its type is said: its text might quote the file
        what = f"{order.file.path}: {type(error).__name__} in the child that handles it"
        answer = Refused(Failure(Reason.INTERNAL, what, "Report this fault of ecr-refresher"))
    orphans.end_all()
    sys.stdout.buffer.write(msgspec.json.encode(answer))


def _end_with_parent() -> None:
    """Standard input ends with the parent; then all that was started here ends as well."""
    while os.read(0, 4096):
        pass
    orphans.end_all()
    os.killpg(0, signal.SIGKILL)


def _become(user: User) -> None:
    try:
        if user.name:
            os.initgroups(user.name, user.gid)
        else:
            os.setgroups([])
        # The saved group is for files only (see atomic_file): a program that is started loses it.
        os.setresgid(user.gid, user.gid, user.file_gid)
        os.setresuid(user.uid, user.uid, user.uid)
    except PermissionError:
        what = f"uid 0 may not become uid {user.uid} here"
        raise Failed(Reason.DENIED, what, "Grant the capabilities SETUID and SETGID, or run as that user") from None
    if user.home:
        os.environ["HOME"] = user.home


if __name__ == "__main__":
    main()
