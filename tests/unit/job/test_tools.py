"""What the real tools hand on to their parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecr_refresher.core.plan import DockerConfig, Plan
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.net import engine
from ecr_refresher.job.refresh.tools import RealTools


def test_the_file_s_readers_are_asked_with_the_users_environment_whatever_docker_py_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clients of engines read an empty config.json; `check` must say what the user's own tools read."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    docker = DockerConfig(str(tmp_path / "config.json"), ())
    tools = RealTools(Plan((), dockers=(docker,)), AwsClock(), lambda _: None)
    engine.ignore_users_logins()
    found = tools.docker(docker).readers("123456789012.dkr.ecr.us-east-1.amazonaws.com").found
    assert {each.file for each in found} == {str(tmp_path / "config.json")}
