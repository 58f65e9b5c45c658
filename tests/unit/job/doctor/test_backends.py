"""The legs of Airflow's secrets backends: where a secrets file is written, and who reads it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ecr_refresher.core.plan import Airflow, Plan, SecretsFile
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.doctor.checkup import Checkup
from ecr_refresher.job.doctor.findings import Finding, Verdict
from ecr_refresher.job.doctor.legs import airflow
from ecr_refresher.job.refresh.tools import RealTools


def place(path: Path, mode: int | None = None) -> list[Finding]:
    """The findings of the leg that examines the file's place."""
    plan = Plan((), airflows=(Airflow("default", "", (), secrets_file=SecretsFile(str(path), mode)),))
    (leg,) = airflow.legs(Checkup(plan, RealTools(plan, AwsClock(), lambda _: None)))
    return list(leg.act())


def test_the_file_of_airflow_s_own_user_is_well_as_it_is(tmp_path: Path, as_root: None) -> None:
    """Airflow reads all its connections from it, so neither its mode nor its owner is anything to change."""
    path = tmp_path / "connections.yaml"
    path.write_text("")
    os.chown(path, 50_001, 50_000)
    for mode in (0o640, 0o440, 0o660):
        path.chmod(mode)
        (found,) = place(path)
        assert (found.verdict, found.fix) == (Verdict.OK, None)


@pytest.mark.parametrize(("wanted", "fix"), [(None, "Run chmod o-r "), (0o640, "chmod 0640 ")])
def test_a_file_that_everybody_may_read_is_warned_of(tmp_path: Path, wanted: int | None, fix: str) -> None:
    path = tmp_path / "connections.yaml"
    path.write_text("")
    path.chmod(0o644)
    (found,) = place(path, wanted)
    assert found.verdict is Verdict.WARNING
    assert fix in (found.fix or "")
    assert "0600" not in (found.fix or "")
