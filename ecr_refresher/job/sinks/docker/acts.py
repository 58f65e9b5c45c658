"""What is done with one `config.json`, with the rights of whoever runs this: here, or in a child of child.py."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from msgspec import structs

from ....core.model import Credential, Failed, Outcome, Reason
from ...files import examination
from . import readers, record, writing
from .helper import ECR_LOGIN, PREFIX, Helper, refuse_foreign
from .messages import Claimed, ConfigFile, Entry, Held, Inspection, Login, Looked, Reading, Refused, Result, Written

CLAIM_TRIES = 3
G = TypeVar("G")  # what an act is given
A = TypeVar("A")  # what it answers
Environ = Mapping[str, str]  # by which helpers are found, and which they get


@dataclass(frozen=True, slots=True)
class Act(Generic[G, A]):
    """Something to do with a file, and how JSON is read as what it is given and what it answers. It raises Failed."""

    do: Callable[[ConfigFile, G, Environ], A]
    given: Any
    answer: Any
    runs_helpers: bool = False  # for one host, in a child


def _look(file: ConfigFile, hosts: tuple[str, ...], _: Environ) -> Looked:
    state = writing.read(file)
    entries: list[Entry] = []
    for host in hosts:
        try:
            helper = state.document.helper_for(host)
            entries.append(_held(state, host, state.document.auth(host)) if helper is None else Claimed(helper))
        except Failed as error:
            entries.append(Refused(error.failure))
    return Looked(state.witness, tuple(entries))


def _held(state: writing.State, host: str, auth: str | None) -> Held:
    found = record.match(state.records, host, auth)
    return Held() if found is None else Held(found.expires_at, found.life)


def _look_in_helper(file: ConfigFile, host: str, environ: Environ) -> Held:
    state = writing.read(file)
    name = state.document.helper_for(host)
    if name is None:
        return _held(state, host, state.document.auth(host))
    kept = Helper(name, state.document, environ).get(host)
    return _held(state, host, None if kept is None else writing.auth_of(*kept))


def _write(file: ConfigFile, logins: tuple[Login, ...], _: Environ) -> tuple[Result, ...]:
    return tuple(writing.write(file, logins))


def _store(file: ConfigFile, login: Login, environ: Environ) -> Written:
    """Store the login, name its host in the file, and see that the helper gives it back."""
    host, credential = login
    for _ in range(CLAIM_TRIES):
        state = writing.read(file)
        name = state.document.helper_for(host)
        if name == ECR_LOGIN:
            return Written(Outcome.UNCHANGED, state.witness, state.witness)
        stored = name is not None and _stored(Helper(name, state.document, environ), host, credential)
        result = writing.write(file, [login], {} if name is None else {host: name})[0]
        if isinstance(result, Refused):
            raise Failed.of(result.failure)
        if isinstance(result, Written):
            return structs.replace(result, outcome=Outcome.WRITTEN) if stored else result
    what = f"{file.path}: another program keeps changing the credential helper for {host}"
    raise Failed(Reason.TRANSIENT, what, "Find that program, and stop it")


def _stored(helper: Helper, host: str, credential: Credential) -> bool:
    """Whether the helper had to be given the login."""
    login = credential.username, credential.secret
    if helper.get(host) == login:
        return False
    helper.store(host, *login)
    if helper.get(host) != login:
        what = f"{PREFIX}{helper.name} stored the login for {host}, and `get` does not return it"
        raise Failed(Reason.TRANSIENT, what, f"Run `{PREFIX}{helper.name} get` by hand (its output is not shown here)")
    return True


def _inspect(file: ConfigFile, host: str, environ: Environ) -> Inspection:
    document = writing.read(file).document
    name = document.helper_for(host)
    if name not in (None, ECR_LOGIN):
        refuse_foreign(document, name)
    on_path = name is not None and Helper(name, document, environ).program() is not None
    return Inspection(None if name is None else PREFIX + name, on_path, document.urls(host))


def _examine(file: ConfigFile, _: None, __: Environ) -> examination.Examination:
    place = writing.locate(file.path)
    return examination.examine(place.path, (place.beside("lock"), place.beside("json")))


# Many hosts at a time, which no helper claims.
LOOK = Act(_look, tuple[str, ...], Looked)
WRITE = Act(_write, tuple[Login, ...], tuple[Result, ...])
# One host, by its helper.
LOOK_IN_HELPER = Act(_look_in_helper, str, Held, runs_helpers=True)
STORE = Act(_store, Login, Written, runs_helpers=True)
# For `check`.
EXAMINE = Act(_examine, None, examination.Examination)
INSPECT = Act(_inspect, str, Inspection)
READ = Act(readers.read, str, Reading, runs_helpers=True)
BY_NAME: dict[str, Act[Any, Any]] = {
    act.do.__name__: act for act in (LOOK, WRITE, LOOK_IN_HELPER, STORE, EXAMINE, INSPECT, READ)
}
