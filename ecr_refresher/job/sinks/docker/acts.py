"""Answers the questions of messages.py about one `config.json`, with the rights of whoever runs this."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import structs

from ....core.model import Failed, Outcome, Reason
from ...files import examination
from . import readers, record, writing
from .helper import ECR_LOGIN, PREFIX, Helper
from .messages import (
    Answer,
    Claimed,
    ConfigFile,
    Held,
    Inspection,
    Login,
    Looked,
    Question,
    Refused,
    Written,
    WrittenAll,
)
from .writing import State, auth_of

CLAIM_TRIES = 3


def answer(file: ConfigFile, question: Question, environ: Mapping[str, str]) -> Answer:
    """Do what is asked; helpers are found by, and get, this environment. Raises Failed."""
    match question.act:
        case "look":
            _, state = writing.read(file)
            return Looked(state.witness, tuple(_entry(state, host) for host in question.hosts))
        case "write":
            return WrittenAll(tuple(writing.write(file, question.logins)))
        case "look in helper":
            return _look_in_helper(file, question.hosts[0], environ)
        case "store":
            return _store(file, question.logins[0], environ)
        case "inspect":
            return _inspect(file, question.hosts[0], environ)
        case "read":
            return readers.read(file, question.hosts[0], environ)
        case "examine":
            place = writing.locate(file.path)
            return examination.examine(place.path, (place.lock, place.record))


def _entry(state: State, host: str) -> Held | Claimed | Refused:
    try:
        helper = state.document.helper_for(host)
        return Claimed(helper) if helper is not None else _held(state, host, state.document.auth(host))
    except Failed as error:
        return Refused(error.failure)


def _held(state: State, host: str, auth: str | None) -> Held:
    found = record.match(state.records, host, auth)
    return Held() if found is None else Held(found.expires_at, found.life)


def _look_in_helper(file: ConfigFile, host: str, environ: Mapping[str, str]) -> Held:
    _, state = writing.read(file)
    name = state.document.helper_for(host)
    auth = state.document.auth(host) if name is None else _kept_by(Helper(name, environ), host)
    return _held(state, host, auth)


def _kept_by(helper: Helper, host: str) -> str | None:
    kept = helper.get(host)
    return None if kept is None else auth_of(*kept).reveal()


def _store(file: ConfigFile, login: Login, environ: Mapping[str, str]) -> Written:
    """Store the login, name its host in the file, and see that the helper gives it back."""
    for _ in range(CLAIM_TRIES):
        _, state = writing.read(file)
        name = state.document.helper_for(login.host)
        if name == ECR_LOGIN:
            return Written(Outcome.UNCHANGED, state.witness, state.witness)
        stored = name is not None and _stored(Helper(name, environ), login)
        result = writing.write(file, [login], {} if name is None else {login.host: name})[0]
        if isinstance(result, Refused):
            raise Failed.of(result.failure)
        if isinstance(result, Written):
            return structs.replace(result, outcome=Outcome.WRITTEN) if stored else result
    what = f"{file.path}: the credential helper for {login.host} changes all the time"
    raise Failed(Reason.TRANSIENT, what, "Find the program that changes it")


def _stored(helper: Helper, login: Login) -> bool:
    """Whether the helper had to be given the login."""
    auth = login.auth.reveal()
    if _kept_by(helper, login.host) == auth:
        return False
    credential = writing.login_in(auth)
    if credential is None:
        raise ValueError("no login")
    helper.store(login.host, *credential)
    if _kept_by(helper, login.host) != auth:
        what = f"{PREFIX}{helper.name} stored the login for {login.host}, and `get` does not return it"
        fix = f"Run `{PREFIX}{helper.name} get` by hand (its output is not shown here)"
        raise Failed(Reason.TRANSIENT, what, fix)
    return True


def _inspect(file: ConfigFile, host: str, environ: Mapping[str, str]) -> Inspection:
    _, state = writing.read(file)
    name = state.document.helper_for(host)
    on_path = name is not None and Helper(name, environ).program() is not None
    return Inspection(
        None if name is None else PREFIX + name, on_path, state.document.urls(host), state.document.paths(host)
    )
