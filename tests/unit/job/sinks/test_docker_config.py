"""What a slot of a `config.json` holds, and how a credential comes there."""

from __future__ import annotations

import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker.auth
import pytest
import structlog

from ecr_refresher.core import budgets, plan
from ecr_refresher.core.model import Holding, Outcome, Reason, witness_of
from tests.testbed.secret_hunt import Secrets

from .docker_world import BOB, HOST, LIFE_S, NOW, OTHER_HOST, auth_of, content, credential, names_in, refusal, sink


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def record_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.ecr-refresher.json")


def test_what_was_delivered_is_held_until_it_expires_also_for_the_next_process(
    path: Path, secrets_seen: Secrets
) -> None:
    new = credential()
    secrets_seen.add(new.secret.reveal(), auth_of(new))
    delivery = sink(path).deliver(HOST, new)
    assert delivery.outcome is Outcome.WRITTEN
    assert sink(path).look(HOST, NOW) == Holding(new.expires_at, True, LIFE_S, witness_of(path.stat()))


def test_docker_py_resolves_the_login_and_those_of_others(path: Path) -> None:
    other = {"registry.example.com": {"auth": "Ym9iOmhpcw=="}}
    path.write_text(json.dumps({"auths": other, "detachKeys": "ctrl-q"}))
    new = credential()
    sink(path).deliver(HOST, new)
    resolved = docker.auth.load_config(str(path))
    ours: Any = resolved.resolve_authconfig(HOST)
    assert (ours["username"], ours["password"]) == ("AWS", new.secret.reveal())
    assert resolved.resolve_authconfig("registry.example.com")["username"] == "bob"
    assert content(path)["detachKeys"] == "ctrl-q"


def test_a_look_writes_nothing_and_creates_nothing(tmp_path: Path) -> None:
    assert sink(tmp_path / "a" / "config.json").look(HOST, NOW) == Holding(witness="absent")
    assert sink(tmp_path / "config.json").look(HOST, NOW) == Holding(witness="absent")
    assert list(tmp_path.iterdir()) == []


def test_a_login_without_record_is_not_trusted(path: Path) -> None:
    new = credential()
    path.write_text(json.dumps({"auths": {HOST: {"auth": auth_of(new)}}}))
    assert sink(path).look(HOST, NOW) == Holding(witness=witness_of(path.stat()))


def test_a_login_that_somebody_changed_is_not_ours(path: Path) -> None:
    sink(path).deliver(HOST, credential())
    path.write_text(json.dumps({"auths": {HOST: {"auth": auth_of(credential())}}}))
    assert sink(path).look(HOST, NOW).until is None


def test_an_older_file_put_back_is_known_by_its_own_expiry_or_not_at_all(path: Path) -> None:
    old, new, newest = (credential(issued_at=NOW + i) for i in range(3))
    sink(path).deliver(HOST, old)
    oldest_text = path.read_bytes()
    sink(path).deliver(HOST, new)
    path.write_bytes(oldest_text)
    assert sink(path).look(HOST, NOW).until == old.expires_at
    sink(path).deliver(HOST, new)
    sink(path).deliver(HOST, newest)
    path.write_bytes(oldest_text)
    assert sink(path).look(HOST, NOW).until is None


def test_the_very_credential_is_not_written_twice(path: Path) -> None:
    new = credential()
    first = sink(path)
    first.deliver(HOST, new)
    before = path.stat()
    again = first.deliver(HOST, new)
    assert (again.outcome, again.witness) == (Outcome.UNCHANGED, witness_of(before))
    assert path.stat().st_ino == before.st_ino


def test_a_lost_record_comes_back_with_the_same_credential(path: Path) -> None:
    new = credential()
    sink(path).deliver(HOST, new)
    record_of(path).unlink()
    assert sink(path).deliver(HOST, new).outcome is Outcome.UNCHANGED
    assert sink(path).look(HOST, NOW).until == new.expires_at


@pytest.mark.parametrize(
    "torn",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"version": 2, "hosts": {}}',
        b'{"version": 1, "hosts": {}, "more": 1}',
        b'{"version": 1, "hosts": {"h": 5}}',
        b'{"version": 1, "hosts": {"h": [{"salt": "x"}]}}',
        b'{"version": 1, "hosts": {"h": [{"salt": "", "fingerprint": "", "issued_at": 1, "expires_at": 1e999}]}}',
        pytest.param(b"[" * 100_000, id="nested"),
        pytest.param(b" " * (budgets.record_max(1) + 1), id="too large"),
    ],
)
def test_a_record_that_makes_no_sense_is_nothing_and_hinders_nothing(path: Path, torn: bytes) -> None:
    sink(path).deliver(HOST, credential())
    record_of(path).write_bytes(torn)
    assert sink(path).look(HOST, NOW).until is None
    new = credential()
    assert sink(path).deliver(HOST, new).outcome is Outcome.WRITTEN
    assert sink(path).look(HOST, NOW).until == new.expires_at


def test_the_record_of_one_host_vouches_for_no_other(path: Path) -> None:
    new = credential()
    sink(path).deliver(HOST, new)
    whole = json.loads(record_of(path).read_bytes())
    whole["hosts"][OTHER_HOST] = whole["hosts"][HOST]
    record_of(path).write_text(json.dumps(whole))
    path.write_text(json.dumps({"auths": {OTHER_HOST: {"auth": auth_of(new)}}}))
    assert sink(path).look(OTHER_HOST, NOW).until is None


def test_the_record_holds_no_secret_and_is_its_owners_alone(path: Path) -> None:
    new = credential()
    sink(path).deliver(HOST, new)
    for beside in path.parent.glob(".*"):
        assert beside.stat().st_mode & 0o777 == 0o600
        assert new.secret.reveal().encode() not in beside.read_bytes()
        assert auth_of(new).encode() not in beside.read_bytes()


def test_directories_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "config.json"
    sink(path).deliver(HOST, credential())
    assert [directory.stat().st_mode & 0o777 for directory in (path.parent, path.parent.parent)] == [0o700, 0o700]
    assert path.stat().st_mode & 0o777 == 0o600


def test_where_the_required_engine_has_no_socket_nothing_is_held_or_made(tmp_path: Path) -> None:
    place = tmp_path / "docker.sock"
    where = tmp_path / "home" / "config.json"
    wanting = sink(where, engine=plan.Engine(f"unix://{place}"), engine_required=True)
    place.mkdir()  # as a container runtime leaves it where it was told to mount a socket that is not there
    for _ in range(2):
        failure = refusal(lambda: wanting.look(HOST, NOW))
        assert failure.reason is Reason.MISSING
        assert f"there is no Docker engine at unix://{place}, so nothing is written" in failure.message
        if place.exists():
            place.rmdir()
    assert not where.parent.exists()
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(place))
        assert wanting.look(HOST, NOW) == sink(where).look(HOST, NOW)


def test_a_given_mode_is_set_by_a_delivery(path: Path) -> None:
    new = credential()
    sink(path).deliver(HOST, new)
    path.chmod(0o644)
    assert sink(path, mode=0o600).deliver(HOST, new).outcome is Outcome.WRITTEN
    assert path.stat().st_mode & 0o777 == 0o600
    sink(path, mode=0o640).deliver(HOST, new)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o660, 0o400])
def test_without_a_given_mode_an_existing_file_keeps_its_own_and_everybodys_right_is_warned_of(
    path: Path, mode: int
) -> None:
    path.write_text('{"auths": {}}')
    path.chmod(mode)
    with structlog.testing.capture_logs() as said:
        for _ in range(2):
            assert sink(path).deliver(HOST, credential()).outcome is Outcome.WRITTEN
            assert path.stat().st_mode & 0o777 == mode
    assert [line["event"] for line in said] == ["config_world_readable"] * (2 if mode & 0o004 else 0)
    assert all(str(path) in line["error"] and f"chmod o-r {path}" in line["fix"] for line in said)
    new = credential()
    sink(path).deliver(HOST, new)
    assert sink(path).deliver(HOST, new).outcome is Outcome.UNCHANGED


def test_a_file_of_another_group_keeps_it(as_root: None, path: Path) -> None:
    path.write_text('{"auths": {}}')
    os.chown(path, 0, 54_321)
    path.chmod(0o640)
    sink(path).deliver(HOST, credential())
    assert (path.stat().st_gid, path.stat().st_mode & 0o777) == (54_321, 0o640)


def test_a_record_of_a_life_that_no_token_has_is_none(path: Path) -> None:
    new = credential()
    for life in (0.0, -5.0, 24 * 3600.0 + 1, 1e300):
        sink(path).deliver(HOST, new)
        whole = json.loads(record_of(path).read_bytes())
        for record in whole["hosts"][HOST]:
            record["expires_at"] = record["issued_at"] + life
        record_of(path).write_text(json.dumps(whole))
        assert sink(path).look(HOST, NOW) == Holding(witness=witness_of(path.stat()))
        path.unlink()


def test_a_record_that_another_user_made_is_none(as_root: None, path: Path) -> None:
    sink(path).deliver(HOST, credential())
    os.chown(record_of(path), BOB, BOB)
    assert sink(path).look(HOST, NOW).until is None


def test_a_thousand_registries_in_one_file_are_served_within_a_pass(path: Path) -> None:
    hosts = [f"{number:012d}.dkr.ecr.us-east-1.amazonaws.com" for number in range(1000)]
    ours = sink(path, registries=tuple(hosts))
    new = credential("x" * 2600)
    began = time.monotonic()
    with ThreadPoolExecutor(128) as threads:
        assert {held.until for held in threads.map(lambda host: ours.look(host, NOW), hosts)} == {None}
        outcomes = {delivery.outcome for delivery in threads.map(lambda host: ours.deliver(host, new), hosts)}
        assert outcomes == {Outcome.WRITTEN}
        assert {held.until for held in threads.map(lambda host: ours.look(host, NOW), hosts)} == {new.expires_at}
    assert time.monotonic() - began < 45  # of the 60 s that a pass has
    assert len(content(path)["auths"]) == 1000


def test_a_killed_runs_leftover_is_replaced(path: Path) -> None:
    leftover = path.with_name(f".{path.name}.ecr-refresher.tmp")
    leftover.write_text("torn")
    sink(path).deliver(HOST, credential())
    assert names_in(path.parent) == {"config.json"}


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": 5}', '{"auths": {"a": 1, "a": 2}}'])
def test_a_file_that_makes_no_sense_is_left_as_it_is(path: Path, text: str) -> None:
    path.write_text(text)
    new = credential()
    for call in (lambda: sink(path).look(HOST, NOW), lambda: sink(path).deliver(HOST, new)):
        failure = refusal(call, new)
        assert failure.reason is Reason.INVALID
        assert str(path) in failure.message
    assert path.read_text() == text


class TestTheWitness:
    """By it the supervisor tells our writes from those of others."""

    def test_is_that_of_the_file_after_our_own_writes(self, path: Path) -> None:
        ours = sink(path)
        for host in (HOST, OTHER_HOST):
            ours.look(host, NOW)
        for host in (HOST, OTHER_HOST, HOST):
            assert ours.deliver(host, credential()).witness == witness_of(path.stat())

    def test_is_withheld_if_somebody_wrote_since_the_look(self, path: Path) -> None:
        ours = sink(path)
        ours.look(HOST, NOW)
        path.write_text('{"auths": {}}')
        assert ours.deliver(HOST, credential()).witness is None
        assert ours.deliver(HOST, credential()).witness == witness_of(path.stat())

    def test_is_withheld_while_another_hosts_entry_was_last_known_in_an_older_file(self, path: Path) -> None:
        ours = sink(path)
        ours.look(OTHER_HOST, NOW)
        path.write_text('{"auths": {}}')
        ours.look(HOST, NOW)
        assert ours.deliver(HOST, credential()).witness is None
        ours.look(OTHER_HOST, NOW)
        assert ours.deliver(HOST, credential()).witness == witness_of(path.stat())

    def test_is_withheld_without_any_look(self, path: Path) -> None:
        assert sink(path).deliver(HOST, credential()).witness is None


def test_a_relative_path_is_taken_from_where_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sink("config.json").deliver(HOST, credential())
    assert names_in(tmp_path) == {"config.json"}
    assert os.listdir(tmp_path) != []
