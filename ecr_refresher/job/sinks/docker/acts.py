"""Answers the questions of messages.py about one `config.json`, with the rights of whoever runs this."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import structs

from ....core.model import Credential, Failed, Outcome, Reason
from ...files import examination
from . import messages, readers, record, writing
from .helper import ECR_LOGIN, PREFIX, Helper, refuse_foreign
from .writing import State, auth_of

CLAIM_TRIES = 3


def answer(file: messages.ConfigFile, question: messages.Question, environ: Mapping[str, str]) -> messages.Answer:
    """Do what is asked; helpers are found by, and get, this environment. Raises Failed."""
    match question.act:
        case "look":
            state = writing.read(file)
            return messages.Looked(state.witness, tuple(_entry(state, host) for host in question.hosts))
        case "write":
            return messages.WrittenAll(tuple(writing.write(file, question.logins)))
        case "look in helper":
            return _look_in_helper(file, question.hosts[0], environ)
        case "store":
            return _store(file, *question.logins[0], environ)
        case "inspect":
            return _inspect(file, question.hosts[0], environ)
        case "read":
            return readers.read(file, question.hosts[0], environ)
        case "examine":
            place = writing.locate(file.path)
            return examination.examine(place.path, (place.beside("lock"), place.beside("json")))


def _entry(state: State, host: str) -> messages.Entry:
    try:
        helper = state.document.helper_for(host)
        return messages.Claimed(helper) if helper is not None else _held(state, host, state.document.auth(host))
    except Failed as error:
        return messages.Refused(error.failure)


def _held(state: State, host: str, auth: str | None) -> messages.Held:
    found = record.match(state.records, host, auth)
    return messages.Held() if found is None else messages.Held(found.expires_at, found.life)


def _look_in_helper(file: messages.ConfigFile, host: str, environ: Mapping[str, str]) -> messages.Held:
    state = writing.read(file)
    name = state.document.helper_for(host)
    if name is None:
        return _held(state, host, state.document.auth(host))
    kept = Helper(name, state.document, environ).get(host)
    return _held(state, host, None if kept is None else auth_of(*kept))


def _store(
    file: messages.ConfigFile, host: str, credential: Credential, environ: Mapping[str, str]
) -> messages.Written:
    """Store the login, name its host in the file, and see that the helper gives it back."""
    for _ in range(CLAIM_TRIES):
        state = writing.read(file)
        name = state.document.helper_for(host)
        if name == ECR_LOGIN:
            return messages.Written(Outcome.UNCHANGED, state.witness, state.witness)
        stored = name is not None and _stored(Helper(name, state.document, environ), host, credential)
        result = writing.write(file, [(host, credential)], {} if name is None else {host: name})[0]
        if isinstance(result, messages.Refused):
            raise Failed.of(result.failure)
        if isinstance(result, messages.Written):
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
        fix = f"Run `{PREFIX}{helper.name} get` by hand (its output is not shown here)"
        raise Failed(Reason.TRANSIENT, what, fix)
    return True


def _inspect(file: messages.ConfigFile, host: str, environ: Mapping[str, str]) -> messages.Inspection:
    state = writing.read(file)
    name = state.document.helper_for(host)
    if name not in (None, ECR_LOGIN):
        refuse_foreign(state.document, name)
    on_path = name is not None and Helper(name, state.document, environ).program() is not None
    return messages.Inspection(
        None if name is None else PREFIX + name, on_path, state.document.urls(host), state.document.paths(host)
    )
