"""What is remembered of uses: over restarts, gaps, two writers, broken files and clocks that are set back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher.core.model import Failed
from ecr_refresher.job.cleanup.remembered import Remembered
from ecr_refresher.job.cleanup.usage import last_use
from ecr_refresher.job.cleanup.usage.last_use import ENGINE_KEEPS, IMAGES_MAX, History, Seen
from ecr_refresher.job.cleanup.usage.state_file import StateFile

ALICE = 20_000 + os.getpid() % 30_000  # nobody on any machine
KNOWN = History("engine", 100.0, {"a": Seen(10.0, 50.0), "b": Seen(20.0, 90.0)})

times = st.floats(-1e12, 1e12)
names = st.frozensets(st.text(max_size=8), max_size=3)
histories = st.builds(
    History,
    st.text(max_size=8),
    times,
    st.dictionaries(st.text(max_size=8), st.builds(Seen, times, times, names, names), max_size=4),
    st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
)


@given(histories)
def test_it_comes_back_as_it_was_written(history: History) -> None:
    assert last_use.load(last_use.dump(history)) == history


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"version": 2, "engine": "e", "heard_until": 0, "images": {}, "containers": {}}',
        b'{"version": 1, "engine": "e", "heard_until": 0}',
        b'{"version": 1, "engine": "e", "heard_until": NaN, "images": {}, "containers": {}}',
        b'{"version": 1, "engine": "e", "heard_until": 0, "images": {"a": [1]}, "containers": {}}',
        b'{"version": 1, "engine": "e", "heard_until": 0, "images": {"a": ["1", 2, [], []]}, "containers": {}}',
        b"[" * 100_000,
    ],
)
def test_what_is_lost_or_broken_is_nothing(content: bytes | None) -> None:
    assert last_use.load(content) is None


def test_it_is_bounded_and_forgets_what_was_not_used_for_longest() -> None:
    many = {f"sha256:{number:064d}": Seen(0.0, float(number)) for number in range(IMAGES_MAX + 5)}
    kept = last_use.load(last_use.dump(History("engine", 0.0, many)))
    assert kept is not None
    assert len(kept.images) == IMAGES_MAX
    assert min(seen.used_at for seen in kept.images.values()) == 5.0


def test_new_images_are_first_seen_now_and_those_that_are_gone_are_forgotten() -> None:
    met = KNOWN.met({"b": ["web:1"], "c": []}, 120.0)
    assert met.images.keys() == {"b", "c"}
    assert met.images["b"] == Seen(20.0, 90.0, frozenset({"web:1"}), frozenset({"web"}))
    assert met.images["c"] == Seen(120.0, 120.0)


def test_a_use_in_the_future_is_one_of_now() -> None:
    assert KNOWN.met({"b": []}, 60.0).images["b"].used_at == 60.0


def test_uses_only_ever_move_on() -> None:
    assert KNOWN.used(["b"], 70.0).images["b"].used_at == 90.0
    assert KNOWN.used(["b"], 95.0).images["b"].used_at == 95.0


# --- gaps ------------------------------------------------------------------------------------------------------------
def resumed(oldest: float | None, count: int, *, held: bool = False) -> dict[str, float]:
    whole = KNOWN.missed_none(oldest, count, held=held)
    history = KNOWN.resumed(oldest, now=200.0, skew=3.0, whole=whole)
    return {image: seen.used_at for image, seen in history.images.items()}


def test_no_gap_where_an_event_that_was_heard_is_still_kept() -> None:
    assert resumed(100.0, ENGINE_KEEPS) == {"a": 50.0, "b": 90.0}


def test_what_was_missed_may_have_been_a_use_just_before_the_oldest_that_is_kept() -> None:
    assert resumed(150.0, ENGINE_KEEPS) == {"a": 147.0, "b": 147.0}  # on AWS's clock


def test_an_engine_that_was_started_anew_while_nobody_listened_may_have_been_used_before() -> None:
    assert resumed(150.0, 3) == {"a": 147.0, "b": 147.0}
    assert resumed(None, 0) == {"a": 200.0, "b": 200.0}


def test_an_engine_that_was_heard_to_its_end_has_not_been_used_since() -> None:
    assert resumed(150.0, 3, held=True) == resumed(None, 0, held=True) == {"a": 50.0, "b": 90.0}
    assert resumed(150.0, ENGINE_KEEPS, held=True) == {"a": 147.0, "b": 147.0}


# --- the file --------------------------------------------------------------------------------------------------------
def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    file = StateFile(str(tmp_path / "state" / "uses.json"))
    file.save(KNOWN.used(["a"], 110.0), {"a", "b"})
    whole = file.save(KNOWN.used(["b"], 120.0).used(["c"], 130.0), {"a", "b", "c"})
    assert file.load() == (whole, True)
    assert {image: seen.used_at for image, seen in whole.images.items()} == {"a": 110.0, "b": 120.0, "c": 130.0}


def test_images_that_are_gone_go_from_the_file(tmp_path: Path) -> None:
    file = StateFile(str(tmp_path / "uses.json"))
    file.save(KNOWN, {"a", "b"})
    assert file.save(KNOWN, {"b"}).images.keys() == {"b"}


def test_a_broken_file_is_replaced_and_a_missing_one_is_made(tmp_path: Path) -> None:
    path = tmp_path / "state" / "uses.json"
    file = StateFile(str(path))
    assert file.load() == (None, False)
    path.write_text("{")
    assert file.load() == (None, True)
    assert file.save(KNOWN, {"a", "b"}) == KNOWN
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed, match="file"):
        StateFile(str(tmp_path / "file" / "uses.json")).load()


@pytest.mark.usefixtures("as_root")
def test_root_follows_no_link_that_another_user_made(tmp_path: Path) -> None:
    """Neither for the uses nor for what is remembered beside them."""
    kept, hers = tmp_path / "kept", tmp_path / "hers"
    kept.mkdir()
    (kept / "uses.json").write_text("root's own")
    hers.mkdir()
    (hers / "state").symlink_to(kept)
    os.chown(hers, ALICE, ALICE)
    os.chown(hers / "state", ALICE, ALICE, follow_symlinks=False)
    for act in (
        lambda: StateFile(str(hers / "state" / "uses.json")),
        lambda: Remembered().save(str(hers / "state" / "uses.json")),
    ):
        with pytest.raises(Failed, match="could lead root to another file"):
            act()
    assert [(file.name, file.read_text()) for file in kept.iterdir()] == [("uses.json", "root's own")]
