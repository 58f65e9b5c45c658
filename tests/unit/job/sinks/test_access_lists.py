"""Access control lists of the files that are renewed: nobody gains a right by a renewal, and no reader loses one."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ecr_refresher.core.plan import Connection, SecretsFile
from ecr_refresher.job.sinks.airflow.backends.secrets_file import SecretsFileSink
from tests.testbed import parts

from .docker_world import BOB, HOST, credential, sink

pytestmark = pytest.mark.usefixtures("as_root")
GROUP, OTHER_GROUP, READER, MEMBER = 54_321, 54_322, 50_001, 50_002
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


def acl(*, group: int = 0, reader: int = 4, mask: int = 4, others: int = 0) -> bytes:
    """A list that gives one user rights of their own: version, then (tag, rights, id) each."""
    entries = [(1, 6, -1), (2, reader, READER), (4, group, -1), (16, mask, -1), (32, others, -1)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)


def give(path: Path, attribute: str, value: bytes) -> None:
    try:
        os.setxattr(path, attribute, value)
    except OSError as error:
        parts.give_up(f"this file system has no access control lists: {error}")


def acl_of(path: Path) -> bytes | None:
    return os.getxattr(path, ACCESS) if ACCESS in os.listxattr(path) else None


def can_read(path: Path, user: int, group: int) -> bool:
    cat = ["cat", str(path)]
    return subprocess.run(cat, user=user, group=group, extra_groups=[], capture_output=True, check=False).stderr == b""


@pytest.fixture
def path(open_path: Path) -> Path:
    """A file that its owning group may not read, and one more user may."""
    path = open_path / "config.json"
    path.write_text("{}")
    os.chown(path, 0, GROUP)
    give(path, ACCESS, acl())
    return path


def deliver_config(path: Path) -> None:
    sink(path).deliver(HOST, credential())


def deliver_secrets_file(path: Path) -> None:
    connection = Connection("docker_default", HOST)
    SecretsFileSink(SecretsFile(str(path), None)).deliver(connection, HOST, credential(), still_wanted=lambda _: True)


@pytest.mark.parametrize("deliver", [deliver_config, deliver_secrets_file])
def test_a_renewed_file_has_the_list_of_the_old_one(path: Path, deliver: Callable[[Path], None]) -> None:
    for _ in range(2):
        before = path.stat()
        deliver(path)
        after = path.stat()
        assert after.st_ino != before.st_ino
        assert (after.st_uid, after.st_gid, after.st_mode) == (0, GROUP, before.st_mode)
        assert acl_of(path) == acl()
        assert can_read(path, READER, READER)
        assert not can_read(path, MEMBER, GROUP)


def test_a_given_mode_counts_alone(path: Path) -> None:
    sink(path, mode=0o640).deliver(HOST, credential())
    assert acl_of(path) is None
    assert (path.stat().st_mode & 0o777, can_read(path, READER, READER)) == (0o640, False)


@pytest.mark.parametrize("others", [0, 4])
def test_a_group_that_the_file_can_not_keep_leaves_its_rights_to_no_other(open_path: Path, others: int) -> None:
    home = open_path / "bob"
    home.mkdir()
    path = home / "config.json"
    path.write_text("{}")
    for made in (home, path):
        os.chown(made, BOB, OTHER_GROUP)
    give(path, ACCESS, acl(group=6, mask=6, others=others))
    sink(path, uid=BOB).deliver(HOST, credential())
    assert (path.stat().st_uid, path.stat().st_gid) == (BOB, BOB)
    assert acl_of(path) == acl(group=others, mask=6, others=others)
    assert can_read(path, READER, READER)


@pytest.mark.parametrize(("before", "after"), [(0o660, 0o600), (0o664, 0o644), (0o604, 0o604)])
def test_without_a_list_the_group_in_its_place_may_do_what_everybody_may(
    open_path: Path, before: int, after: int
) -> None:
    home = open_path / "bob"
    home.mkdir()
    path = home / "config.json"
    path.write_text("{}")
    path.chmod(before)
    for made in (home, path):
        os.chown(made, BOB, OTHER_GROUP)
    sink(path, uid=BOB).deliver(HOST, credential())
    assert (path.stat().st_gid, path.stat().st_mode & 0o777) == (BOB, after)


def test_a_file_without_a_list_gets_none_from_its_directory(open_path: Path) -> None:
    path = open_path / "config.json"
    path.write_text("{}")
    path.chmod(0o640)
    give(open_path, DEFAULT, acl())
    sink(path).deliver(HOST, credential())
    assert acl_of(path) is None
    assert (path.stat().st_mode & 0o777, can_read(path, READER, READER)) == (0o640, False)


def test_a_list_that_can_not_be_kept_leaves_its_rights_to_nobody(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(22, os.strerror(22))

    monkeypatch.setattr(os, "setxattr", refused)
    sink(path).deliver(HOST, credential())
    assert (acl_of(path), path.stat().st_mode & 0o777) == (None, 0o600)
