"""What `check` asks of a `config.json`: which tools find the login there, and whether the file can be written."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from ecr_refresher.core.model import Credential, Failed, Outcome, Secret
from ecr_refresher.core.plan import DockerConfig
from ecr_refresher.job.doctor import files
from ecr_refresher.job.files import examination as file_examination
from ecr_refresher.job.sinks.docker.document import Document
from ecr_refresher.job.sinks.docker.messages import Found
from ecr_refresher.job.sinks.docker.readers import (
    ANOTHER,
    DOCKER,
    DOCKER_PY,
    NONE,
    OURS,
    PODMAN,
    UNREADABLE,
    UNUSABLE,
    podman_files,
)
from ecr_refresher.job.sinks.docker.sink import DockerConfigSink
from tests.testbed import parts

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
NEW = Credential("AWS", Secret("the-token-of-this-test"), 1_800_000_000.0, 1_800_043_200.0)


class Reader:
    """A file with a delivered login, and a sink of it whose surroundings can be changed."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "config.json"
        self.environ = {
            "DOCKER_CONFIG": str(folder),
            "PATH": "/nowhere",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        }
        self.docker = DockerConfig(str(self.file), ("one",))
        assert self.sink().deliver(HOST, NEW).outcome is Outcome.WRITTEN

    def sink(self) -> DockerConfigSink:
        return DockerConfigSink(self.docker, environ=self.environ)

    def reads(self) -> tuple[Found, ...]:
        return self.sink().readers(HOST).found

    def rewrite(self, auths: dict[str, object], **more: object) -> None:
        self.file.write_text(json.dumps({"auths": auths, **more}))


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path / "docker")


def entry(password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"AWS:{password}".encode()).decode()}


OUR_ENTRY = entry("the-token-of-this-test")


def test_both_find_what_was_delivered(reader: Reader) -> None:
    file = str(reader.file)
    assert reader.reads() == (Found(DOCKER, file, HOST, OURS), Found(DOCKER_PY, file, HOST, OURS))


@pytest.mark.parametrize(
    ("auths", "docker", "docker_py"),
    [
        ({}, NONE, NONE),
        ({"quay.io": OUR_ENTRY}, NONE, NONE),
        ({HOST: entry("of somebody else")}, ANOTHER, ANOTHER),
        ({HOST: OUR_ENTRY, f"https://{HOST}": entry("an old one")}, OURS, OURS),
        ({f"https://{HOST}": OUR_ENTRY}, OURS, OURS),
        ({f"https://{HOST}/v2/": entry("an old one")}, ANOTHER, ANOTHER),
        ({HOST: {"username": "AWS", "password": "x"}}, NONE, NONE),
        # docker-py stumbles over entries that the docker command takes for none
        ({HOST: OUR_ENTRY, "ghcr.io": {"auth": ""}}, OURS, UNUSABLE),
        ({HOST: OUR_ENTRY, "ghcr.io": None}, OURS, UNUSABLE),
    ],
)
def test_docker_py_and_the_docker_command_look_up_in_their_own_ways(
    reader: Reader, auths: dict[str, object], docker: str, docker_py: str
) -> None:
    reader.rewrite(auths)
    assert [found.login for found in reader.reads()] == [docker, docker_py]


def test_a_helper_that_is_not_there_is_named_for_the_tool_that_asks_it(reader: Reader) -> None:
    reader.rewrite({HOST: OUR_ENTRY}, credsStore="not-there", credHelpers={HOST: ""})
    docker, docker_py = reader.reads()
    assert (docker.login, docker.entry) == (OURS, HOST)  # an empty name means the file to the docker command alone
    assert docker_py.login == UNUSABLE


def test_they_read_the_file_of_their_own_home(reader: Reader, tmp_path: Path) -> None:
    del reader.environ["DOCKER_CONFIG"]
    reader.environ["HOME"] = str(tmp_path / "home")
    theirs = str(tmp_path / "home/.docker/config.json")
    assert reader.reads() == (Found(DOCKER, theirs, "", NONE), Found(DOCKER_PY, theirs, "", NONE))


def test_a_user_without_a_home_is_taken_to_read_the_file(reader: Reader) -> None:
    del reader.environ["DOCKER_CONFIG"]
    assert {found.login for found in reader.reads()} == {OURS}


@pytest.mark.parametrize("make", [lambda path: path.write_text('{"auths": '), os.mkfifo, Path.mkdir])
def test_a_file_that_makes_no_sense_is_of_no_use_to_anybody(
    reader: Reader, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    make(theirs / "config.json")
    reader.environ["DOCKER_CONFIG"] = str(theirs)
    file = str(theirs / "config.json")
    assert reader.reads() == (Found(DOCKER, file, "", UNUSABLE), Found(DOCKER_PY, file, "", UNUSABLE))


def test_another_users_reading_is_tried_as_that_user(as_root: None, open_path: Path) -> None:
    reader = Reader(open_path / "docker")
    reader.docker = structs.replace(reader.docker, uid=1234, gid=1234)
    reader.file.parent.chmod(0o755)
    assert {found.login for found in reader.reads()} == {UNREADABLE}
    for file in reader.file.parent.iterdir():
        os.chown(file, 1234, 1234)
    assert {found.login for found in reader.reads()} == {OURS}


def test_a_helper_that_claims_the_host_is_named_with_whether_it_is_there(reader: Reader, tmp_path: Path) -> None:
    assert reader.sink().inspect(HOST).helper is None
    reader.rewrite({}, credHelpers={HOST: "ecr-login"})
    seen = reader.sink().inspect(HOST)
    assert (seen.helper, seen.on_path) == ("docker-credential-ecr-login", False)
    program = tmp_path / "docker-credential-ecr-login"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    reader.environ["PATH"] = str(tmp_path)
    assert reader.sink().inspect(HOST).on_path


@pytest.mark.parametrize("value", ["{}", ""])
def test_a_login_in_the_environment_is_seen(reader: Reader, value: str) -> None:
    reader.environ["DOCKER_AUTH_CONFIG"] = value
    assert reader.sink().readers(HOST).auth_in_environ is bool(value)


class TestPodman:
    """Where Podman or skopeo is installed, or the file is Podman's, it is asked for as well."""

    @pytest.fixture
    def podman(self, reader: Reader, tmp_path: Path) -> Reader:
        program = tmp_path / "bin" / "podman"
        program.parent.mkdir()
        program.write_text("")
        program.chmod(0o755)
        reader.environ["PATH"] = str(program.parent)
        reader.environ["XDG_RUNTIME_DIR"] = str(tmp_path / "run")
        reader.environ["HOME"] = str(tmp_path / "home")
        return reader

    def found(self, reader: Reader) -> list[Found]:
        return [found for found in reader.reads() if found.tool == PODMAN]

    def put(self, path: Path, auths: dict[str, object]) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"auths": auths}))
        return str(path)

    def test_the_order_of_its_files(self) -> None:
        environ = {"HOME": "/h", "XDG_RUNTIME_DIR": "/run/user/7"}
        assert list(podman_files(environ, "/c.json")) == [
            "/run/user/7/containers/auth.json",
            "/h/.config/containers/auth.json",
            "/h/.docker/config.json",
        ]
        assert list(podman_files({**environ, "DOCKER_CONFIG": "/d"}, "/c.json"))[2] == "/d/config.json"
        assert list(podman_files({**environ, "REGISTRY_AUTH_FILE": "/a.json"}, "/c.json")) == ["/a.json"]
        assert list(podman_files({}, "/c.json")) == [f"/run/containers/{os.geteuid()}/auth.json", "/c.json"]

    def test_dockers_own_file_comes_last(self, podman: Reader, tmp_path: Path) -> None:
        assert self.found(podman) == [Found(PODMAN, str(podman.file), HOST, OURS)]
        first = self.put(tmp_path / "run/containers/auth.json", {HOST: entry("another")})
        assert self.found(podman) == [Found(PODMAN, first, HOST, ANOTHER)]

    def test_the_first_file_that_has_the_host_counts(self, podman: Reader, tmp_path: Path) -> None:
        self.put(tmp_path / "run/containers/auth.json", {"quay.io": OUR_ENTRY})
        second = self.put(tmp_path / "home/.config/containers/auth.json", {f"https://{HOST}": OUR_ENTRY})
        self.put(tmp_path / "home/.docker/config.json", {HOST: entry("another")})
        assert self.found(podman) == [Found(PODMAN, second, f"https://{HOST}", OURS)]

    def test_a_part_of_the_host_beats_the_host(self, podman: Reader) -> None:
        podman.environ["REGISTRY_AUTH_FILE"] = file = str(podman.file)
        podman.rewrite({HOST: OUR_ENTRY, f"{HOST}/team": entry("another")})
        assert self.found(podman) == [
            Found(PODMAN, file, f"{HOST}/team", ANOTHER),
            Found(PODMAN, file, HOST, OURS),
        ]

    def test_a_store_of_dockers_means_nothing_to_it(self, podman: Reader) -> None:
        podman.environ["REGISTRY_AUTH_FILE"] = file = str(podman.file)
        podman.rewrite({HOST: {}}, credsStore="pass")
        assert self.found(podman) == [Found(PODMAN, file, "", NONE)]

    @pytest.mark.parametrize(
        ("auths", "place"),
        [
            ({HOST: OUR_ENTRY}, "run/containers/auth.json"),
            ({HOST: OUR_ENTRY}, "home/.config/containers/auth.json"),
            ({f"https://{HOST}": OUR_ENTRY}, "docker/config.json"),
            ({"quay.io": OUR_ENTRY}, "docker/config.json"),
            ({f"{HOST}/team": OUR_ENTRY}, "docker/config.json"),
        ],
    )
    def test_the_real_podman_finds_the_same(
        self, podman: Reader, tmp_path: Path, open_path: Path, auths: dict[str, object], place: str
    ) -> None:
        if not parts.PODMAN.exists():
            parts.give_up(f"podman: {parts.PODMAN} is not there; run `make prepare` as root on Debian")
        (tmp_path / "run").mkdir()
        self.put(tmp_path / place, auths)
        command = [str(parts.PODMAN), "--root", str(open_path / "r"), "--runroot", str(open_path / "rr")]
        environ = {**podman.environ, "PATH": os.environ["PATH"]}
        done = subprocess.run(
            [*command, "--storage-driver", "vfs", "login", "--get-login", HOST],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        found = self.found(podman)[-1]
        assert (done.stdout.strip() == "AWS") == (found.login == OURS), done.stderr

    def test_the_real_podman_removes_an_entry_by_the_command_that_is_advised(
        self, podman: Reader, open_path: Path
    ) -> None:
        if not parts.PODMAN.exists():
            parts.give_up(f"podman: {parts.PODMAN} is not there; run `make prepare` as root on Debian")
        podman.environ["REGISTRY_AUTH_FILE"] = str(podman.file)
        podman.rewrite({HOST: OUR_ENTRY, f"{HOST}/team": entry("another")})
        found = podman.sink().readers(HOST)
        (fix,) = [
            one.fix for one in files.readers(found, str(podman.file), "uid 0") if "podman logout" in (one.fix or "")
        ]
        command = (fix or "").removeprefix("Run podman ").split()
        storage = ["--root", str(open_path / "r"), "--runroot", str(open_path / "rr"), "--storage-driver", "vfs"]
        environ = {**podman.environ, "PATH": os.environ["PATH"]}
        subprocess.run([str(parts.PODMAN), *storage, *command], env=environ, capture_output=True, check=True)
        assert list(json.loads(podman.file.read_text())["auths"]) == [HOST]


@pytest.mark.parametrize("key", [f"https://{HOST}", f"http://{HOST}", f"https://{HOST}/v1/"])
def test_urls_of_a_host_mean_it_as_well(key: str) -> None:
    document = Document.parse("f", json.dumps({"auths": {HOST: {}, key: {}, "https://quay.io": {}}}).encode())
    assert (document.urls(HOST), document.paths(HOST)) == ((key,), ())


@pytest.mark.parametrize("key", [f"{HOST}/team", f"{HOST}/v2/"])
def test_parts_of_a_host_are_known(key: str) -> None:
    document = Document.parse("f", json.dumps({"auths": {HOST: {}, key: {}, f"{HOST}.evil": {}}}).encode())
    assert (document.urls(HOST), document.paths(HOST)) == ((), (key,))


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


@pytest.mark.parametrize(("make", "said"), [(Path.mkdir, "is a directory"), (os.mkfifo, "is not a regular file")])
def test_a_place_with_something_else_in_it_is_refused(
    tmp_path: Path, make: Callable[[Path], object], said: str
) -> None:
    make(tmp_path / "config.json")
    with pytest.raises(Failed, match=said) as caught:
        file_examination.examine(str(tmp_path / "config.json"))
    assert caught.value.failure.fix.startswith("Remove it")


def test_a_read_only_disk_and_a_full_one_are_told(tmp_path: Path, mount: Callable[..., None]) -> None:
    mount("-t", "tmpfs", "-o", "size=64k,nr_inodes=8", "tmpfs", tmp_path)
    for number in range(7):
        (tmp_path / str(number)).touch()
    assert file_examination.examine(str(tmp_path / "config.json")).full
    mount("-o", "remount,ro", tmp_path)
    assert file_examination.examine(str(tmp_path / "config.json")).read_only


def test_what_another_user_may_not_write_is_told(as_root: None, open_path: Path) -> None:
    reader = Reader(open_path / "docker")
    reader.docker = structs.replace(reader.docker, uid=1234, gid=1234)
    reader.file.parent.chmod(0o755)
    seen = reader.sink().examine()
    assert (seen.writable, seen.by) == (False, 1234)
    assert set(seen.blocked) == {".config.json.ecr-refresher.lock", ".config.json.ecr-refresher.json"}
    os.chown(reader.file.parent, 1234, 1234)
    assert reader.sink().examine().writable
    assert stat.S_IMODE(os.stat(reader.file).st_mode) == 0o600
