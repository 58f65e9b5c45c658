"""`check` in the test's own process: what it makes of settings, and of the user that it runs as."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ecr_refresher.core import wire
from ecr_refresher.job.commands import check

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"


@pytest.fixture(autouse=True)
def _quiet_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("ECR_REFRESHER_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


def load(tmp_path: Path, **settings: object) -> wire.Load:
    file = tmp_path / "settings.yaml"
    file.write_text(json.dumps(settings))
    return wire.Load(str(file), None, None)


def test_wrong_settings_are_rows_of_the_table_with_status_2(tmp_path: Path) -> None:
    status, rows = check.checked(load(tmp_path, registries=[HOST], dockre={}, refresh={"deadline": "soon"}))
    assert status == 2
    (row,) = rows
    fixes = {finding.text.partition(":")[0]: finding.fix or "" for finding in row.findings}
    assert fixes.keys() == {"dockre", "refresh.deadline"}
    assert "Did you mean 'docker'?" in fixes["dockre"]


def test_warnings_of_the_settings_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_REFRESHER_PORT", "tcp://10.0.0.1:9719")
    _, rows = check.checked(load(tmp_path, registries=[HOST]), reader=True)
    assert (rows[0].leg, rows[0].verdict) == ("settings", "warning")


@pytest.mark.parametrize(("euid", "who"), [(0, "uid 50000"), (50_000, "this user"), (1000, "this user")])
def test_a_reader_takes_the_settings_of_roots_daemon_whoever_it_is(
    tmp_path: Path, open_path: Path, monkeypatch: pytest.MonkeyPatch, euid: int, who: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: euid)
    docker = {"config_file": str(open_path / "config.json"), "owner": "50000:0"}
    _, rows = check.checked(load(tmp_path, registries=[HOST], docker=docker), reader=True)
    assert [(row.leg, row.verdict) for row in rows] == [
        ("settings", "ok"),
        ("helper", "ok"),
        ("entry", "warning"),
        ("reader", "ok"),
    ]
    assert who in rows[-1].tried


def test_a_reader_asks_aws_nothing_not_even_for_the_own_registry(tmp_path: Path) -> None:
    settings = {"registries": [{"region": "us-east-1"}], "docker": {"config_file": str(tmp_path / "config.json")}}
    status, rows = check.checked(load(tmp_path, **settings), reader=True)
    assert [(row.leg, row.verdict) for row in rows][1:3] == [
        ("own registry", "not_tried"),
        ("helper", "not_tried"),
    ]
    assert status == 0
