"""Hosts that a credential helper claims: real programs on PATH keep their logins."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker.auth
import pytest

from ecr_refresher.core.model import Holding, Outcome, Reason, witness_of
from ecr_refresher.job.sinks.docker import helper as docker_helper

from .docker_world import HOST, NOW, OTHER_HOST, auth_of, content, credential, refusal, sink

MakeHelper = Callable[..., Path]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


@pytest.mark.parametrize("claim", [{"credsStore": "test"}, {"credHelpers": {HOST: "test"}, "credsStore": "other"}])
def test_the_helper_keeps_the_login_and_the_file_names_the_host(
    path: Path, helper: MakeHelper, claim: dict[str, Any]
) -> None:
    kept_in = helper("test")
    path.write_text(json.dumps({**claim, "auths": {HOST: {"auth": "b2xkOm9sZA==", "email": "a@b.c"}}}))
    new = credential()
    assert sink(path).deliver(HOST, new).outcome is Outcome.WRITTEN
    assert content(kept_in / HOST) == {"ServerURL": HOST, "Username": "AWS", "Secret": new.secret.reveal()}
    assert content(path) == {**claim, "auths": {HOST: {"email": "a@b.c"}}}
    assert sink(path).look(HOST, NOW) == Holding(new.expires_at, True, new.life, witness_of(path.stat()))
    resolved: Any = docker.auth.load_config(str(path)).resolve_authconfig(HOST)
    assert (resolved["Username"], resolved["Password"]) == ("AWS", new.secret.reveal())


def test_the_very_credential_is_not_stored_twice(path: Path, helper: MakeHelper) -> None:
    kept_in = helper("test")
    path.write_text('{"credsStore": "test"}')
    new = credential()
    sink(path).deliver(HOST, new)
    assert sink(path).deliver(HOST, new).outcome is Outcome.UNCHANGED
    calls = [line.split()[0] for line in (kept_in / "calls").read_text().splitlines()]
    assert calls.count("store") == 1


def test_what_somebody_else_stored_or_erased_is_not_ours(path: Path, helper: MakeHelper) -> None:
    kept_in = helper("test")
    path.write_text('{"credsStore": "test"}')
    sink(path).deliver(HOST, credential())
    (kept_in / HOST).write_text(json.dumps({"Username": "AWS", "Secret": "his"}))
    assert sink(path).look(HOST, NOW).until is None
    (kept_in / HOST).unlink()
    assert sink(path).look(HOST, NOW).until is None
    (kept_in / HOST).write_text(json.dumps({"Username": "", "Secret": ""}))  # so docker-credential-pass says 'none'
    assert sink(path).look(HOST, NOW).until is None


def test_ecr_login_fetches_by_itself_so_it_is_always_served(path: Path, helper: MakeHelper) -> None:
    kept_in = helper("ecr-login", "echo not implemented; exit 1")
    path.write_text(json.dumps({"credHelpers": {HOST: "ecr-login"}}))
    ours = sink(path)
    holding = ours.look(HOST, NOW)
    assert (holding.until, holding.own_record) == (NOW + 43_200, True)
    delivery = ours.deliver(HOST, credential())
    assert (delivery.outcome, delivery.witness) == (Outcome.UNCHANGED, witness_of(path.stat()))
    assert not (kept_in / "calls").exists()
    assert ours.deliver(OTHER_HOST, credential()).outcome is Outcome.WRITTEN  # claimed by nobody


def test_a_missing_helper_is_told_with_the_mend(path: Path) -> None:
    path.write_text('{"credsStore": "not-there"}')
    new = credential()
    for call in (lambda: sink(path).look(HOST, NOW), lambda: sink(path).deliver(HOST, new)):
        failure = refusal(call, new)
        assert failure.reason is Reason.MISSING
        assert "docker-credential-not-there, which is not on PATH; install it" in failure.message


@pytest.mark.parametrize(
    ("trouble", "reason", "said"),
    [
        ('echo "$order"; echo "$order" >&2; exit 3', Reason.TRANSIENT, "get: exit status 3"),
        ('[ $1 = get ] || { echo "$order"; exit 4; }', Reason.TRANSIENT, "store: exit status 4"),
        ("[ $1 = store ] || { echo []; exit; }", Reason.TRANSIENT, "no JSON object"),
        ("[ $1 = get ] || { echo not implemented; exit 1; }", Reason.INVALID, "can't store logins"),
    ],
)
def test_a_helper_that_fails_is_told_without_its_output(
    path: Path, helper: MakeHelper, trouble: str, reason: Reason, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    helper("test", trouble)
    path.write_text('{"credsStore": "test"}')
    new = credential()
    failure = refusal(lambda: sink(path).deliver(HOST, new), new)
    assert failure.reason is reason
    assert said in failure.message
    assert new.secret.reveal() not in "".join(capfd.readouterr())
    assert content(path) == {"credsStore": "test"}


def test_a_helper_that_hangs_is_ended_and_hinders_no_other_host(
    path: Path, helper: MakeHelper, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = path.with_name("pid")
    helper("hung", f"echo $$ > '{pid}'; exec sleep 600")
    monkeypatch.setattr(docker_helper, "TIMEOUT_S", 1.0)
    path.write_text(json.dumps({"credHelpers": {HOST: "hung"}}))
    began = time.monotonic()
    failure = refusal(lambda: sink(path).look(HOST, NOW))
    assert failure.reason is Reason.TRANSIENT
    assert "no answer within 1 s" in failure.message
    assert time.monotonic() - began < 10
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert sink(path).deliver(OTHER_HOST, credential()).outcome is Outcome.WRITTEN


def test_our_own_settings_are_not_in_the_helpers_environment(
    path: Path, helper: MakeHelper, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_in = helper("test")
    monkeypatch.setenv("ECR_REFRESHER_AIRFLOW_PASSWORD", "nobody-elses-business")
    path.write_text('{"credsStore": "test"}')
    sink(path).look(HOST, NOW)
    assert "ECR_REFRESHER_AIRFLOW_PASSWORD" not in (kept_in / "calls").read_text()


def test_a_login_moves_into_the_helper_and_out_again_with_the_settings_of_the_file(
    path: Path, helper: MakeHelper
) -> None:
    helper("test")
    new = credential()
    sink(path).deliver(HOST, new)
    path.write_text(json.dumps({**content(path), "credsStore": "test"}))
    assert sink(path).look(HOST, NOW).until is None  # the helper has none, and the docker command asks only it
    sink(path).deliver(HOST, new)
    assert content(path)["auths"] == {HOST: {}}
    path.write_text(json.dumps({"auths": content(path)["auths"]}))
    assert sink(path).look(HOST, NOW).until is None
    sink(path).deliver(HOST, new)
    assert content(path)["auths"] == {HOST: {"auth": auth_of(new)}}
