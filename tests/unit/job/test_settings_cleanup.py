"""The settings of the cleanup: off by default, which marks hold where some are left out, where the state goes."""

from __future__ import annotations

from typing import Any

import pytest

from ecr_refresher.core import wire
from ecr_refresher.core.plan import Plan
from tests.unit.job.settings_reader import HOME, error, plan


def test_it_is_off_by_default_and_its_rules_hold_by_hand_all_the_same() -> None:
    found = plan({}).cleanup
    assert not found.enabled
    assert not found.dry_run
    assert found.engine.url == "unix:///var/run/docker.sock"
    assert (found.containers.exited_for, found.containers.every) == (3600.0, False)
    assert (found.images.unused_for, found.images.every, found.build_cache_max) == (86400.0, False, None)
    assert plan({"cleanup": {"enabled": True}}).cleanup.enabled


@pytest.mark.parametrize(
    ("written", "above", "below", "most"),
    [
        ({}, 0.8, 0.7, None),
        ({"when_disk_above": "90%"}, 0.9, 0.8, None),
        ({"when_disk_above": "15%"}, 0.15, 0.075, None),
        ({"until_below": "50%"}, 0.8, 0.5, None),
        ({"when_disk_above": "60%", "until_below": "60%"}, 0.6, 0.6, None),
        ({"max_size": "50GB"}, None, 0.7, 50_000_000_000),
        ({"max_size": "50GB", "when_disk_above": "90%"}, 0.9, 0.8, 50_000_000_000),
    ],
)
def test_a_mark_that_is_given_alone_is_the_only_one(
    written: dict[str, str], above: float | None, below: float, most: int | None
) -> None:
    found = plan({"cleanup": {"images": written}})
    rules = found.cleanup.images
    assert (rules.when_disk_above, rules.until_below, rules.max_size) == (above, below, most)
    assert wire.load_job(wire.dump_job(wire.Job(1, 0.0, plan=found))).plan == found  # a mark that is off stays off


@pytest.mark.parametrize(
    ("environ", "directory"),
    [
        ({}, f"{HOME}/.local/state/ecr-refresher"),
        ({"XDG_STATE_HOME": "/var/state"}, "/var/state/ecr-refresher"),
        ({"XDG_STATE_HOME": "relative"}, f"{HOME}/.local/state/ecr-refresher"),
        ({"STATE_DIRECTORY": "/var/lib/ecr-refresher", "XDG_STATE_HOME": "/var/state"}, "/var/lib/ecr-refresher"),
        ({"STATE_DIRECTORY": "/var/lib/one:/var/lib/two"}, "/var/lib/one"),
    ],
)
def test_the_state_goes_where_state_belongs(environ: dict[str, str], directory: str) -> None:
    assert plan({}, environ).cleanup.state_file == f"{directory}/cleanup.json"


def test_the_state_file_may_be_named() -> None:
    assert plan({"cleanup": {"state_file": "~/uses.json"}}).cleanup.state_file == f"{HOME}/uses.json"


def test_a_user_without_a_home_must_say_where_the_state_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_uid: int) -> Any:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", nobody)
    written: dict[str, Any] = {"cleanup": {"enabled": True}, "docker": {"config_file": "/etc/docker/config.json"}}
    assert "cleanup.state_file: is missing" in error(written, {"HOME": ""})
    written["cleanup"]["enabled"] = False
    assert isinstance(plan(written, {"HOME": ""}), Plan)
