"""As root for another `owner`: what he may not do himself is not done for him."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ecr_refresher.core import budgets
from ecr_refresher.core.model import Outcome, Reason, witness_of
from ecr_refresher.job.sinks.docker.sink import DockerConfigSink

from .docker_world import BOB, HOST, NOW, OTHER_HOST, auth_of, content, credential, names_in, refusal, sink

pytestmark = pytest.mark.usefixtures("as_root")
GROUP = 54_321


@pytest.fixture
def home(open_path: Path) -> Path:
    home = open_path / "bob"
    home.mkdir(mode=0o700)
    os.chown(home, BOB, GROUP)
    return home


def his(path: Path, **settings: Any) -> DockerConfigSink:
    return sink(path, uid=BOB, gid=GROUP, **settings)


def test_all_that_is_written_belongs_to_him(home: Path) -> None:
    path = home / ".docker" / "config.json"
    ours = his(path, mode=0o640)
    ours.look(HOST, NOW)
    new = credential()
    delivery = ours.deliver(HOST, new)
    assert (delivery.outcome, delivery.witness) == (Outcome.WRITTEN, witness_of(path.stat()))
    for made in (path.parent, *path.parent.iterdir()):
        assert (made.stat().st_uid, made.stat().st_gid) == (BOB, GROUP)
    assert path.stat().st_mode & 0o777 == 0o640
    assert his(path).look(HOST, NOW).until == new.expires_at
    assert ours.deliver(HOST, new).outcome is Outcome.UNCHANGED


def test_his_own_link_to_his_own_file_is_followed(home: Path) -> None:
    target = home / "real.json"
    target.write_text("{}")
    os.chown(target, BOB, GROUP)
    path = home / "config.json"
    path.symlink_to(target)
    os.chown(path, BOB, GROUP, follow_symlinks=False)
    his(path).deliver(HOST, credential())
    assert HOST in content(target)["auths"]
    assert path.is_symlink()


@pytest.mark.parametrize("mode", [0o600, 0o666])
def test_his_link_to_somebody_elses_file_is_refused(home: Path, open_path: Path, mode: int) -> None:
    target = open_path / "roots.json"
    target.write_text('{"auths": {}}')
    target.chmod(mode)
    path = home / "config.json"
    path.symlink_to(target)
    os.chown(path, BOB, GROUP, follow_symlinks=False)
    new = credential()
    failure = refusal(lambda: his(path).deliver(HOST, new), new)
    assert failure.reason is Reason.DENIED
    assert target.read_text() == '{"auths": {}}'
    assert target.stat().st_uid == 0
    assert names_in(home) == {"config.json"}


def test_his_dangling_link_to_where_he_may_not_write_is_refused(home: Path, open_path: Path) -> None:
    path = home / "config.json"
    path.symlink_to(open_path / "planted.json")
    assert refusal(lambda: his(path).deliver(HOST, credential())).reason is Reason.DENIED
    assert not (open_path / "planted.json").exists()


def test_his_link_of_a_directory_leads_no_further_than_he_may_go(home: Path, open_path: Path) -> None:
    guarded = open_path / "guarded"
    guarded.mkdir()
    (home / ".docker").symlink_to(guarded)
    failure = refusal(lambda: his(home / ".docker" / "config.json").deliver(HOST, credential()))
    assert failure.reason is Reason.DENIED
    assert f"uid {BOB}" in failure.message
    assert list(guarded.iterdir()) == []


def test_roots_own_file_in_the_way_is_reported_with_the_fix(home: Path) -> None:
    path = home / "config.json"
    path.write_text("{}")
    path.chmod(0o600)
    failure = refusal(lambda: his(path).deliver(HOST, credential()))
    assert failure.reason is Reason.DENIED
    assert str(path) in failure.message
    path.chmod(0o644)  # he may read it, and it lies in his directory: it becomes his
    his(path).deliver(HOST, credential())
    assert path.stat().st_uid == BOB


def test_a_directory_that_only_root_may_make_is_made_for_him() -> None:
    top = Path("/var/lib") / f"ecr-refresher-test-{os.getpid()}"
    try:
        path = top / ".docker" / "config.json"
        his(path).look(HOST, NOW)
        assert not top.exists()
        his(path).deliver(HOST, credential())
        assert all(made.stat().st_uid == BOB for made in (top, path.parent, path))
        assert top.stat().st_mode & 0o777 == 0o700
    finally:
        subprocess.run(["rm", "-r", str(top)], check=True)


def test_no_directory_is_made_where_somebody_else_could_rename_it(open_path: Path) -> None:
    above = open_path / "shared"
    above.mkdir()
    above.chmod(0o775)
    assert refusal(lambda: his(above / "new" / "config.json").deliver(HOST, credential())).reason is Reason.DENIED
    assert list(above.iterdir()) == []


def test_the_child_gets_the_secret_by_standard_input_only(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, dict[str, Any]]] = []
    popen = subprocess.Popen

    def watched(arguments: Any, **options: Any) -> Any:
        calls.append((arguments, options))
        return popen(arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", watched)
    new = credential()
    environ = {**os.environ, "AWS_SECRET_ACCESS_KEY": "nobody-elses-business"}
    his(home / "config.json", environ=environ).deliver(HOST, new)
    ((arguments, options),) = calls
    assert new.secret.reveal() not in str(arguments) + str(options["env"])
    assert auth_of(new) not in str(arguments) + str(options["env"])
    assert "AWS_SECRET_ACCESS_KEY" not in options["env"]


def test_a_child_that_hangs_or_dies_is_reported(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = credential()
    monkeypatch.setattr(budgets, "CHILD_S", 0.001)
    failure = refusal(lambda: his(home / "config.json").deliver(HOST, new), new)
    assert (failure.reason, "no answer within" in failure.message) == (Reason.TRANSIENT, True)
    monkeypatch.setattr(budgets, "CHILD_S", 15.0)
    for program, problem in (("/bin/false", "status 1 and no answer"), ("/none", "could not be started")):
        monkeypatch.setattr(sys, "executable", program)
        failure = refusal(lambda: his(home / "config.json").deliver(HOST, new), new)
        assert (failure.reason, problem in failure.message) == (Reason.TRANSIENT, True)


@pytest.mark.parametrize("printed", ["[]", '{"type": "held", "more": 1}', '{"type": "looked", "witness": 5}', "yes"])
def test_an_answer_that_is_not_the_childs_is_no_answer(
    home: Path, open_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str
) -> None:
    program = open_path / "python"
    program.write_text(f"#!/bin/sh\n{'exec yes' if printed == 'yes' else f'echo {shlex.quote(printed)}'}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    failure = refusal(lambda: his(home / "config.json").look(HOST, NOW))
    assert failure.reason is Reason.TRANSIENT
    assert ("printed more than" if printed == "yes" else "no answer") in failure.message


def test_his_helper_runs_as_him_without_roots_environment(home: Path, helper: Any) -> None:
    kept_in = helper("test")
    environ = {**os.environ, "AWS_SECRET_ACCESS_KEY": "nobody-elses-business"}
    path = home / "config.json"
    path.write_text('{"credsStore": "test"}')
    path.chmod(0o644)
    new = credential()
    assert his(path, environ=environ).deliver(HOST, new).outcome is Outcome.WRITTEN
    assert his(path, environ=environ).look(HOST, NOW).until == new.expires_at
    assert content(path) == {"credsStore": "test", "auths": {HOST: {}}}
    assert path.stat().st_uid == BOB
    calls = [line.split() for line in (kept_in / "calls").read_text().splitlines()]
    assert [words[:2] for words in calls] == [[word, str(BOB)] for word in ("get", "store", "get", "get")]
    assert not any("AWS_SECRET_ACCESS_KEY" in words for words in calls)


def test_a_helper_that_he_may_not_run_is_reported(home: Path, helper: Any, open_path: Path) -> None:
    helper("test")
    program = open_path / "bin" / "docker-credential-test"
    (home / "config.json").write_text('{"credsStore": "test"}')
    program.chmod(0o700)
    failure = refusal(lambda: his(home / "config.json").look(HOST, NOW))
    assert (failure.reason, f"not on PATH for uid {BOB}" in failure.message) == (Reason.MISSING, True)
    (open_path / "guarded").mkdir(mode=0o700)
    program.write_text(f"#!{open_path}/guarded/sh\n")
    program.chmod(0o755)
    failure = refusal(lambda: his(home / "config.json").look(HOST, NOW))
    assert (failure.reason, f"uid {BOB} may not run" in failure.message) == (Reason.DENIED, True)


def test_two_hosts_of_his_file_are_both_kept(home: Path) -> None:
    ours = his(home / "config.json")
    for host in (HOST, OTHER_HOST):
        ours.deliver(host, credential())
    assert set(content(home / "config.json")["auths"]) == {HOST, OTHER_HOST}
