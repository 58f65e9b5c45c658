"""What the real tools hand on to their parts."""

from __future__ import annotations

from pathlib import Path

from ecr_refresher.core import budgets
from ecr_refresher.core.plan import DockerConfig, Plan
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.refresh.tools import RealTools


def test_a_file_s_sink_knows_how_many_may_bring_logins_at_the_same_time(tmp_path: Path) -> None:
    """Else writes would rest while no more logins can come, or never."""
    docker = DockerConfig(str(tmp_path / "config.json"), ())
    tools = RealTools(Plan((), dockers=(docker,)), AwsClock(), lambda _: None)
    assert tools.docker(docker)._writes._most == budgets.PER_FILE
