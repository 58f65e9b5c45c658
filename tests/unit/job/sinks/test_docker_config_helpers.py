"""Hosts that a credential helper claims: real programs on PATH keep their logins."""

from __future__ import annotations

import json
import os
import pty
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker.auth
import pytest

from ecr_refresher.core.model import Holding, Outcome, Reason, witness_of
from ecr_refresher.job.sinks.docker.document import Document
from ecr_refresher.job.sinks.docker.helper import Helper
from tests.testbed.processes import wait_until

from .docker_world import HOST, NOW, OTHER_HOST, auth_of, content, credential, refusal, sink

MakeHelper = Callable[..., Path]


def on_a_terminal(script: str) -> None:
    """Run Python with a controlling terminal of its own."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", script])
    printed = b""
    try:
        while text := os.read(terminal, 4096):
            printed += text
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0, printed


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


def test_a_missing_helper_fails_with_the_fix(path: Path) -> None:
    path.write_text('{"credsStore": "not-there"}')
    new = credential()
    for call in (lambda: sink(path).look(HOST, NOW), lambda: sink(path).deliver(HOST, new)):
        failure = refusal(call, new)
        assert failure.reason is Reason.MISSING
        assert "docker-credential-not-there, which is not on PATH" in failure.message
        assert failure.fix.startswith("Install it where that user may run it, or remove it")


@pytest.mark.parametrize(
    ("trouble", "reason", "said"),
    [
        ('echo "$order"; echo "$order" >&2; exit 3', Reason.TRANSIENT, "store: exit status 3"),
        ('[ $1 = get ] || { echo "$order"; exit 4; }', Reason.TRANSIENT, "store: exit status 4"),
        ("[ $1 = store ] || { echo []; exit; }", Reason.TRANSIENT, "not a JSON object"),
        ('[ $1 = store ] || { echo \'{"Username": 5, "Secret": "s"}\'; exit; }', Reason.TRANSIENT, "not a JSON object"),
        ("[ $1 = get ] || { echo not implemented; exit 1; }", Reason.INVALID, "can't store logins"),
        ("[ $1 = store ] && exit 0", Reason.TRANSIENT, "stored the login for"),
        ("exec yes", Reason.TRANSIENT, "get: printed more than 64 KiB"),
        ("yes & wait", Reason.TRANSIENT, "get: printed more than 64 KiB"),
    ],
)
def test_a_helper_that_fails_is_reported_without_its_output(
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


@pytest.mark.parametrize("words", ["item not found", "Error: no such secret", ""])
def test_a_helper_whose_get_fails_with_words_of_its_own_is_given_the_login(
    path: Path, helper: MakeHelper, words: str
) -> None:
    helper("test", f"[ $1 = store ] || [ -f $0.kept ] || {{ echo '{words}'; exit 1; }}; touch $0.kept")
    path.write_text('{"credsStore": "test"}')
    assert sink(path).look(HOST, NOW).until is None
    new = credential()
    assert sink(path).deliver(HOST, new).outcome is Outcome.WRITTEN
    assert sink(path).look(HOST, NOW).until == new.expires_at


@pytest.mark.parametrize("key", ["credSstore", "credsstore", "CREDSSTORE"])
def test_a_helper_is_asked_whatever_the_case_of_its_key(path: Path, helper: MakeHelper, key: str) -> None:
    helper("memo")
    path.write_text(json.dumps({key: "memo"}))
    new = credential()
    assert sink(path).deliver(HOST, new).outcome is Outcome.WRITTEN
    assert content(path) == {key: "memo", "auths": {HOST: {}}}
    assert sink(path).look(HOST, NOW).until == new.expires_at


def test_a_helper_that_hangs_is_ended_in_time(path: Path, helper: MakeHelper, monkeypatch: pytest.MonkeyPatch) -> None:
    helper("hung", "exec sleep 600")
    monkeypatch.setattr("ecr_refresher.job.sinks.docker.helper.HELPER_S", 1.0)
    began = time.monotonic()
    failure = refusal(lambda: Helper("hung", Document.parse("config.json", None), os.environ).get(HOST))
    assert failure.reason is Reason.TRANSIENT
    assert "no answer within 1 s" in failure.message
    assert time.monotonic() - began < 10


def test_what_a_helper_started_ends_with_the_helpers_child_and_no_other_host_waits_for_it(
    path: Path, helper: MakeHelper, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = path.with_name("pid")
    helper("hung", f"sleep 600 & echo $! > '{pid}'; wait")
    monkeypatch.setattr("ecr_refresher.core.budgets.HELPER_CHILD_S", 2.0)
    path.write_text(json.dumps({"credHelpers": {HOST: "hung"}}))
    ours = sink(path)
    with ThreadPoolExecutor(1) as thread:
        hung = thread.submit(lambda: refusal(lambda: ours.look(HOST, NOW)))
        wait_until(pid.exists, 20, "the helper's start")
        assert ours.deliver(OTHER_HOST, credential()).outcome is Outcome.WRITTEN
        assert not hung.done()
        assert hung.result(30).reason is Reason.TRANSIENT
    wait_until(lambda: not Path(f"/proc/{int(pid.read_text())}").exists(), 10, "the end of what the helper started")


def test_a_helper_has_no_terminal_and_a_session_of_its_own(path: Path, helper: MakeHelper, open_path: Path) -> None:
    """Otherwise it could push input into the terminal of whoever runs `once` (TIOCSTI)."""
    seen = open_path / "seen"
    seen.mkdir(mode=0o777)
    script = (
        f"(exec 3</dev/tty) 2>/dev/null && echo terminal > '{seen}/terminal'; "
        f"for fd in 0 1 2; do readlink /proc/$$/fd/$fd; done > '{seen}/descriptors'; "
        f"cut -d' ' -f6 /proc/$$/stat > '{seen}/session'"
    )
    helper("test", script)
    path.write_text('{"credsStore": "test"}')
    on_a_terminal(
        f"import os; from tests.unit.job.sinks.docker_world import *; sink({str(path)!r}).look(HOST, NOW); "
        f"open({str(seen / 'ours')!r}, 'w').write(str(os.getsid(0)))"
    )
    assert not (seen / "terminal").exists()
    assert "/dev/pts" not in (seen / "descriptors").read_text()
    assert (seen / "session").read_text().strip() != (seen / "ours").read_text()


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
