"""The disk of the engine's data: where it is seen from here, and the clear error where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ecr_refresher.core.model import Failed, Reason
from ecr_refresher.job.cleanup.space import disk

CONTAINER = "0f" * 32
MOUNTS = (
    "31 22 0:28 / /run rw shared:5 - tmpfs tmpfs rw\n"
    "99 90 8:1 /docker/containers/{container}/hosts {place} rw,relatime - ext4 /dev/sda1 rw\n"
)


def root(directory: Path, *inside: str) -> str:
    for name in inside:
        (directory / name).mkdir(parents=True)
    return str(directory)


def knows(container: str) -> bool:
    return container == CONTAINER


def test_the_engine_s_own_word_is_taken_where_its_data_are_there(tmp_path: Path) -> None:
    told = root(tmp_path, "overlay2", "containers")
    found = disk.find(told, None, knows)
    assert (found.place, found.data_root) == (told, told)
    used, whole = found.measure()
    seen = os.statvfs(told)
    assert used == (seen.f_blocks - seen.f_bfree) * seen.f_frsize
    assert 0 < used <= whole <= seen.f_blocks * seen.f_frsize


@pytest.mark.parametrize("root", ["var/lib/containers/storage", "home/ann/.local/share/containers/storage"])
def test_podmans_storage_is_found_with_or_without_root(tmp_path: Path, root: str) -> None:
    storage = tmp_path / root
    (storage / "overlay-images").mkdir(parents=True)
    (storage / "storage.lock").write_text("")
    assert disk.find(str(storage), None, knows, mounts=os.devnull).place == str(storage)


def test_a_directory_of_that_name_that_is_not_the_engine_s_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(Failed) as refused:
        disk.find(root(tmp_path), None, knows, mounts=os.devnull)
    assert refused.value.failure.reason is Reason.MISSING
    assert "cleanup.data_root" in refused.value.failure.fix
    assert "max_size" in refused.value.failure.fix


def test_where_it_is_seen_from_here_may_be_said(tmp_path: Path) -> None:
    here = root(tmp_path / "host", "image")
    assert disk.find("/var/lib/elsewhere", here, knows).place == here
    with pytest.raises(Failed, match="at /nowhere"):
        disk.find(here, "/nowhere", knows)


def test_in_a_container_of_that_engine_its_own_mounts_tell_the_disk(tmp_path: Path) -> None:
    place = tmp_path / "hosts"
    place.write_text("")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(container=CONTAINER, place=place))
    found = disk.find("/nowhere", None, knows, mounts=str(mounts))
    assert (found.place, found.data_root) == (str(place), None)
    mounts.write_text(MOUNTS.format(container="ab" * 32, place=place))
    with pytest.raises(Failed):  # a container, but of another engine
        disk.find("/nowhere", None, knows, mounts=str(mounts))
