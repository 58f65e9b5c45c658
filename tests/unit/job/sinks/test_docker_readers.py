"""What `check` asks of a `config.json`: who would find the login there, and whether it may be written."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from ecr_refresher.core.model import Credential, Outcome, Secret
from ecr_refresher.core.plan import DockerConfig
from ecr_refresher.job.files import examination as file_examination
from ecr_refresher.job.sinks.docker.config_json import DockerConfigSink
from ecr_refresher.job.sinks.docker.document import Document
from ecr_refresher.job.sinks.docker.readers import ANOTHER, NONE, OURS, UNREADABLE, Reading

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
NEW = Credential("AWS", Secret("the-token-of-this-test"), 1_800_000_000.0, 1_800_043_200.0)


class Reader:
    """A file with a delivered login, and a sink of it whose surroundings can be changed."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "config.json"
        self.environ = {"DOCKER_CONFIG": str(folder), "PATH": os.environ["PATH"]}
        self.docker = DockerConfig(str(self.file), ("one",))
        assert self.sink().deliver(HOST, NEW).outcome is Outcome.WRITTEN

    def sink(self) -> DockerConfigSink:
        return DockerConfigSink(self.docker, environ=self.environ, threads=8)

    def reads(self) -> Reading:
        return self.sink().readers(HOST)

    def rewrite(self, auths: dict[str, object], **more: object) -> None:
        self.file.write_text(json.dumps({"auths": auths, **more}))


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path / "docker")


def entry(password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"AWS:{password}".encode()).decode()}


OUR_ENTRY = entry("the-token-of-this-test")


def test_both_find_what_was_delivered(reader: Reader) -> None:
    assert reader.reads() == Reading(str(reader.file), OURS, OURS)


@pytest.mark.parametrize(
    ("auths", "found"),
    [
        ({}, NONE),
        ({"quay.io": OUR_ENTRY}, NONE),
        ({HOST: entry("of somebody else")}, ANOTHER),
        ({HOST: OUR_ENTRY, f"https://{HOST}": entry("an old one")}, OURS),
        ({f"https://{HOST}": OUR_ENTRY}, OURS),
        ({f"https://{HOST}/v2/": entry("an old one")}, ANOTHER),
        ({HOST: {"username": "AWS", "password": "x"}}, NONE),
    ],
)
def test_docker_py_and_the_docker_command_look_up_alike(reader: Reader, auths: dict[str, object], found: str) -> None:
    reader.rewrite(auths)
    assert reader.reads() == Reading(str(reader.file), found, found)


def test_they_read_the_file_of_their_own_home(reader: Reader, tmp_path: Path) -> None:
    reader.environ = {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]}
    assert reader.reads() == Reading(str(tmp_path / "home/.docker/config.json"), NONE, NONE)


def test_somebody_without_a_home_is_taken_to_be_shown_the_file(reader: Reader) -> None:
    reader.environ = {"PATH": os.environ["PATH"]}
    assert reader.reads() == Reading(str(reader.file), OURS, OURS)


def test_a_file_that_makes_no_sense_gives_nobody_a_login(reader: Reader, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "config.json").write_text('{"auths": ')
    reader.environ["DOCKER_CONFIG"] = str(theirs)
    assert reader.reads() == Reading(str(theirs / "config.json"), NONE, NONE)


def test_another_users_reading_is_tried_as_that_user(as_root: None, open_path: Path) -> None:
    reader = Reader(open_path / "docker")
    reader.docker = dataclasses.replace(reader.docker, uid=1234, gid=1234)
    reader.file.parent.chmod(0o755)
    assert reader.reads() == Reading(str(reader.file), UNREADABLE, UNREADABLE)
    for file in reader.file.parent.iterdir():
        os.chown(file, 1234, 1234)
    assert reader.reads() == Reading(str(reader.file), OURS, OURS)


def test_a_helper_that_claims_the_host_is_named_with_whether_it_is_there(reader: Reader, tmp_path: Path) -> None:
    assert reader.sink().claimed_by(HOST) is None
    reader.rewrite({}, credHelpers={HOST: "ecr-login"})
    assert reader.sink().claimed_by(HOST) == ("docker-credential-ecr-login", False)
    program = tmp_path / "docker-credential-ecr-login"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    reader.environ["PATH"] = str(tmp_path)
    assert reader.sink().claimed_by(HOST) == ("docker-credential-ecr-login", True)


@pytest.mark.parametrize("key", [f"https://{HOST}", f"http://{HOST}", f"https://{HOST}/v1/", f"{HOST}/v2/"])
def test_other_names_of_a_host_are_its_twins(key: str) -> None:
    document = Document.parse("f", json.dumps({"auths": {HOST: {}, key: {}, "https://quay.io": {}}}).encode())
    assert document.twins(HOST) == (key,)
    assert document.names(HOST)


# --- where it is written


def test_a_place_is_examined_without_a_trace(reader: Reader) -> None:
    before = sorted(path.name for path in reader.file.parent.iterdir())
    seen = reader.sink().examine()
    assert (seen.folder_is_there, seen.writable, seen.mounted, seen.mode) == (True, True, False, 0o600)
    assert (seen.uid, seen.by, tuple(seen.blocked)) == (os.geteuid(), os.geteuid(), ())
    assert sorted(path.name for path in reader.file.parent.iterdir()) == before


def test_of_a_place_that_is_not_there_the_nearest_directory_is_examined(tmp_path: Path) -> None:
    seen = file_examination.examine(str(tmp_path / "a" / "b" / "config.json"))
    assert (seen.folder, seen.folder_is_there, seen.mode) == (str(tmp_path), False, None)
    assert not (tmp_path / "a").exists()


def test_a_read_only_disk_and_a_full_one_are_told(tmp_path: Path, mount: Callable[..., None]) -> None:
    mount("-t", "tmpfs", "-o", "size=64k,nr_inodes=8", "tmpfs", tmp_path)
    for number in range(7):
        (tmp_path / str(number)).touch()
    assert file_examination.examine(str(tmp_path / "config.json")).full
    mount("-o", "remount,ro", tmp_path)
    assert file_examination.examine(str(tmp_path / "config.json")).read_only


def test_what_another_user_may_not_write_is_told(as_root: None, open_path: Path) -> None:
    reader = Reader(open_path / "docker")
    reader.docker = dataclasses.replace(reader.docker, uid=1234, gid=1234)
    reader.file.parent.chmod(0o755)
    seen = reader.sink().examine()
    assert (seen.writable, seen.by) == (False, 1234)
    assert set(seen.blocked) == {".config.json.ecr-refresher.lock", ".config.json.ecr-refresher.json"}
    os.chown(reader.file.parent, 1234, 1234)
    assert reader.sink().examine().writable
    assert stat.S_IMODE(os.stat(reader.file).st_mode) == 0o600
