"""Disks, links and mounts that stand in the way of a `config.json`: each is told, and nothing is spoiled."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ecr_refresher.core import budgets
from ecr_refresher.core.model import Failure, Outcome, Reason

from .docker_world import BOB, HOST, NOW, OTHER_HOST, auth_of, content, credential, names_in, refusal, sink

Mount = Callable[..., None]
OLD = json.dumps({"auths": {"registry.example.com": {"auth": "Ym9iOmhpcw=="}}})


def refused(path: Path) -> Failure:
    """The refusal of a delivery that leaves the directory as it was."""
    before = names_in(path.parent)
    new = credential()
    failure = refusal(lambda: sink(path).deliver(HOST, new), new)
    assert names_in(path.parent) == before
    return failure


@pytest.fixture
def small(tmp_path: Path, mount: Mount) -> Path:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=64k,nr_inodes=16", "none", disk)
    return disk


def test_a_full_disk_is_told_and_passes(small: Path) -> None:
    path = small / "config.json"
    path.write_text(OLD)
    full = small / "full"
    with full.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    failure = refused(path)
    assert failure.reason is Reason.TRANSIENT
    assert (failure.message, failure.fix) == (f"{path} can't be written: the disk is full", "Free some space")
    assert path.read_text() == OLD
    full.unlink()
    assert sink(path).deliver(HOST, credential()).outcome is Outcome.WRITTEN


def test_a_disk_without_inodes_is_told(small: Path) -> None:
    path = small / "config.json"
    path.write_text(OLD)
    with contextlib.suppress(OSError):
        for number in range(100):
            (small / str(number)).touch()
    failure = refused(path)
    assert failure.reason is Reason.TRANSIENT
    assert "no inodes left" in failure.message
    assert path.read_text() == OLD


def test_a_read_only_disk_can_be_looked_at_and_not_be_written(small: Path, mount: Mount) -> None:
    path = small / "config.json"
    held = credential()
    sink(path).deliver(HOST, held)
    mount("-o", "remount,ro", small)
    assert sink(path).look(HOST, NOW).until == held.expires_at
    failure = refused(path)
    assert failure.reason is Reason.DENIED
    assert "read-only" in failure.message
    assert content(path)["auths"][HOST]["auth"] == auth_of(held)
    assert sink(small / "none" / "config.json").look(HOST, NOW).witness == "absent"


def test_a_single_mounted_file_is_told_before_anything_is_written(tmp_path: Path, mount: Mount) -> None:
    source = tmp_path / "source.json"
    source.write_text(OLD)
    path = tmp_path / "with blank" / "config.json"
    path.parent.mkdir()
    path.touch()
    mount("--bind", source, path)
    failure = refused(path)
    assert failure.reason is Reason.INVALID
    assert failure.fix == "Mount its directory instead of the file"
    assert source.read_text() == OLD
    assert not (path.parent / ".config.json.ecr-refresher.json").exists()


def test_a_single_mounted_file_is_told_also_where_proc_does_not_tell(
    tmp_path: Path, mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecr_refresher.job.sinks.docker.writing.is_mount", lambda _: False)
    path = tmp_path / "config.json"
    path.write_text(OLD)
    mount("--bind", path, path)
    assert refused(path).fix == "Mount its directory instead of the file"
    assert path.read_text() == OLD


def test_a_directory_in_the_files_place_is_told(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.mkdir()
    assert refused(path).reason is Reason.INVALID
    failure = refusal(lambda: sink(path).look(HOST, NOW))
    assert failure.message == f"{path} is a directory"
    assert "Docker creates such a directory where a file to mount was missing" in failure.fix


def test_a_fifo_hangs_nobody(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    os.mkfifo(path)
    assert refused(path).reason is Reason.INVALID


def test_a_file_in_the_directorys_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "config.json"
    for call in (lambda: sink(path).look(HOST, NOW), lambda: sink(path).deliver(HOST, credential())):
        assert refusal(call).reason is Reason.INVALID


def test_a_file_that_is_larger_than_any_real_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b'{"auths": {}}')
    os.truncate(path, 50 << 20)
    failure = refused(path)
    assert failure.reason is Reason.INVALID
    assert failure.message == f"{path} is larger than 264 KiB"
    assert path.stat().st_size == 50 << 20
    path.write_bytes(b'{"x": "' + b"x" * (budgets.config_max(1) - 9) + b'"}')
    assert sink(path).look(HOST, NOW).until is None
    path.write_bytes(path.read_bytes() + b" ")
    assert refusal(lambda: sink(path).look(HOST, NOW)).reason is Reason.INVALID


class TestLinks:
    """Links are followed, and stay."""

    def test_the_target_is_written_and_the_link_stays(self, tmp_path: Path) -> None:
        target = tmp_path / "real" / "docker.json"
        target.parent.mkdir()
        target.write_text(OLD)
        path = tmp_path / "config.json"
        path.symlink_to("real/docker.json")
        new = credential()
        sink(path).deliver(HOST, new)
        assert path.is_symlink()
        assert set(content(target)["auths"]) == {HOST, "registry.example.com"}
        assert sink(path).look(HOST, NOW).until == new.expires_at
        assert sink(target).look(HOST, NOW).until == new.expires_at  # the same file by its other name

    def test_one_to_another_file_system_works(self, tmp_path: Path, small: Path) -> None:
        path = tmp_path / "config.json"
        path.symlink_to(small / "config.json")
        sink(path).deliver(HOST, credential())
        assert HOST in content(small / "config.json")["auths"]
        assert names_in(tmp_path) == {"config.json", "disk"}

    def test_a_dangling_one_has_its_target_made(self, tmp_path: Path) -> None:
        path = tmp_path / "config.json"
        path.symlink_to("new.json")
        assert sink(path).look(HOST, NOW).witness == "absent"
        sink(path).deliver(HOST, credential())
        assert path.is_symlink()
        assert HOST in content(tmp_path / "new.json")["auths"]

    def test_a_dangling_one_without_directory_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "config.json"
        path.symlink_to("none/new.json")
        failure = refused(path)
        assert failure.reason is Reason.MISSING
        assert f"{tmp_path}/none/new.json, whose directory does not exist" in failure.message

    def test_a_circle_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "config.json"
        path.symlink_to("config.json")
        assert refused(path).reason is Reason.INVALID

    def test_one_to_somebody_elses_file_is_refused(self, as_root: None, tmp_path: Path) -> None:
        target = tmp_path / "his.json"
        target.write_text(OLD)
        os.chown(target, BOB, BOB)
        path = tmp_path / "config.json"
        path.symlink_to(target)
        failure = refused(path)
        assert failure.reason is Reason.DENIED
        assert f"belongs to uid {BOB}" in failure.message
        assert (target.read_text(), target.stat().st_uid) == (OLD, BOB)
        assert refusal(lambda: sink(path).look(HOST, NOW)).reason is Reason.DENIED

    def test_somebody_elses_link_is_refused_wherever_it_leads(self, as_root: None, tmp_path: Path) -> None:
        path = tmp_path / "config.json"
        path.symlink_to(tmp_path / "new.json")
        os.chown(path, BOB, BOB, follow_symlinks=False)
        assert refused(path).reason is Reason.DENIED


def test_somebody_elses_file_keeps_its_owner_where_none_is_set(as_root: None, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(OLD)
    os.chown(path, BOB, BOB + 1)
    sink(path).deliver(HOST, credential())
    assert (path.stat().st_uid, path.stat().st_gid) == (BOB, BOB + 1)


@pytest.mark.parametrize("name", [".config.json.ecr-refresher.lock", ".config.json.ecr-refresher.tmp"])
def test_a_directory_where_our_own_files_go_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    path = tmp_path / "config.json"
    path.write_text(OLD)
    assert str(tmp_path) in refused(path).message
    assert path.read_text() == OLD


def test_a_link_where_our_own_files_go_leads_us_nowhere(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    work = tmp_path / "work"
    work.mkdir()
    for ending in ("json", "tmp", "json.ecr-refresher.tmp"):
        (work / f".config.json.ecr-refresher.{ending}").symlink_to(precious)
    sink(work / "config.json").deliver(HOST, credential())
    assert precious.read_text() == "precious"
    (work / ".config.json.ecr-refresher.lock").unlink()
    (work / ".config.json.ecr-refresher.lock").symlink_to(precious)
    assert refused(work / "config.json").reason is Reason.INVALID


def test_a_login_of_no_sane_size_takes_no_room_of_the_others_in_the_file(tmp_path: Path) -> None:
    """A file that is too large is not read again, so one registry's endpoint could end the renewals of all in it."""
    path = tmp_path / "config.json"
    ours = sink(path, registries=(HOST, OTHER_HOST))
    for size in (500_000, 10_000):
        huge = credential("x" * size)
        failure = refusal(partial(ours.deliver, OTHER_HOST, huge), huge)
        assert (failure.reason, OTHER_HOST in failure.message) == (Reason.INVALID, True)
        assert ours.deliver(HOST, credential()).outcome is Outcome.WRITTEN
    assert refusal(lambda: sink(path).deliver(HOST, credential("x" * 500_000))).reason is Reason.INVALID
    assert sink(path).deliver(HOST, credential("x" * 90_000)).outcome is Outcome.WRITTEN  # the only one in its file
