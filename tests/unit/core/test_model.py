"""The words: a secret shows itself to nobody, a failure carries what a report needs, a witness tells of any write."""

from __future__ import annotations

import copy
import json
import os
import pickle
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher.core.model import MASK, Credential, Failed, Failure, Reason, Secret, witness_of

TEXT = "hunter2-hunter2-hunter2"


def test_a_secret_is_masked_in_every_form_of_text() -> None:
    secret = Secret(TEXT)
    forms = [repr(secret), str(secret), f"{secret}", f"{secret!r}", f"{secret:>40}", f"{secret!s}", f"{[secret]}"]
    forms += ["%s" % secret, "%r" % (secret,), "{}".format(secret), format(secret, "s")]  # noqa: UP031, UP032
    assert all(TEXT not in form for form in forms)
    assert all(MASK in form for form in forms)


def test_a_secret_is_masked_in_the_text_of_what_holds_it() -> None:
    credential = Credential("AWS", Secret(TEXT), 0.0, 1.0)
    assert TEXT not in repr(credential)
    assert TEXT not in str({"login": Secret(TEXT)})


def test_a_json_encoder_refuses_a_secret() -> None:
    with pytest.raises(TypeError) as caught:
        json.dumps({"password": Secret(TEXT)})
    assert TEXT not in str(caught.value)
    assert json.dumps(Secret(TEXT), default=str) == f'"{MASK}"'


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(TEXT), protocol)


def test_a_secret_is_not_copied_and_neither_is_a_credential_deeply() -> None:
    for refused in (
        lambda: copy.copy(Secret(TEXT)),
        lambda: copy.deepcopy(Secret(TEXT)),
        lambda: copy.deepcopy(Credential("AWS", Secret(TEXT), 0.0, 1.0)),
    ):
        with pytest.raises(TypeError, match="not pickled or copied"):
            refused()


def test_a_traceback_with_its_locals_shows_no_secret() -> None:
    def fails(credential: Credential) -> None:
        password = credential.secret
        raise LookupError(f"{credential} {password}")

    with pytest.raises(LookupError) as caught:
        fails(Credential("AWS", Secret(TEXT), 0.0, 1.0))
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "LookupError" in shown
    assert TEXT not in shown


def test_a_secret_has_no_attributes_that_a_dump_of_vars_would_show() -> None:
    assert not hasattr(Secret(TEXT), "__dict__")


@given(st.text(), st.text())
def test_secrets_are_equal_by_content_and_no_keys(one: str, other: str) -> None:
    assert (Secret(one) == Secret(other)) is (one == other)
    assert Secret(one).reveal() == one
    assert bool(Secret(one)) is bool(one)
    assert Secret(one) != one
    with pytest.raises(TypeError):
        hash(Secret(one))


def test_credentials_are_told_apart_by_identity_not_content() -> None:
    secret = Secret(TEXT)
    one, same = Credential("AWS", secret, 0.0, 9.0), Credential("AWS", secret, 0.0, 9.0)
    assert one != same
    assert len({one, same}) == 2
    assert one.life == 9.0


def test_what_is_raised_carries_its_failure_and_says_its_message() -> None:
    raised = Failed(Reason.DENIED, "the password is wrong; correct it", login_refused=True)
    assert raised.failure == Failure(Reason.DENIED, "the password is wrong; correct it", login_refused=True)
    assert str(raised) == "the password is wrong; correct it"
    assert not Failed(Reason.MISSING, "").failure.login_refused


def test_reasons_are_the_closed_set_of_the_contract() -> None:
    assert [str(reason) for reason in Reason] == ["transient", "throttled", "denied", "invalid", "missing", "internal"]


def test_a_witness_changes_when_somebody_writes_replaces_or_removes_the_file(tmp_path: Path) -> None:
    path, other = tmp_path / "config.json", tmp_path / "new"
    path.write_text("{}")
    os.utime(path, ns=(1, 1))
    seen = [witness_of(path.stat())]
    assert witness_of(path.stat()) == seen[0]
    path.write_text("{ }")  # another size, and the same time
    os.utime(path, ns=(1, 1))
    seen.append(witness_of(path.stat()))
    os.utime(path, ns=(1, 2))  # the same content, written a nanosecond later
    seen.append(witness_of(path.stat()))
    other.write_text("{ }")  # the same content, size and time in another file
    os.utime(other, ns=(1, 2))
    other.replace(path)
    seen.append(witness_of(path.stat()))
    seen.append(witness_of(None))
    assert len(set(seen)) == len(seen)
    assert witness_of(None) == "absent"
