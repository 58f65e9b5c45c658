"""docs/moving-from-cron.md on a real Airflow: what happens while the old script still runs beside ecr-refresher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.settings import AIRFLOW_SINK, CONNECTION, story
from tests.testbed.airflow import Airflow
from tests.testbed.daemon import Product
from tests.testbed.registry import HOST, Registry
from tests.testbed.standins.ecr import EcrStandIn

pytestmark = pytest.mark.real("airflow, registry")
MARKER = f"[ecr-refresher: {HOST} until "


def test_both_may_run_for_a_while(
    airflow: Airflow, registry: Registry, ecr: EcrStandIn, product: Product, tmp_path: Path
) -> None:
    registry.book.life_s = 12 * 3600  # as ECR's
    settings = story(airflow, tmp_path)

    def script() -> str:
        """What the cron script does: delete, add, with a token of its own."""
        token = registry.book.issue()
        airflow.delete_connection(CONNECTION)
        airflow.create_connection(CONNECTION, host=HOST, login="AWS", password=token.password)
        return token.password

    def once(*options: str) -> str:
        done = product.run_cli(
            "once", "--json", *options, settings=settings, ecr_url=ecr.url, env=registry.environment()
        )
        assert done.exit_code == 0, done.stderr
        return next(str(slot["outcome"]) for slot in done.json()["slots"] if slot["sink"] == AIRFLOW_SINK)

    def held() -> Any:
        stored = airflow.db_connection(CONNECTION)
        assert stored is not None
        assert registry.book.check(stored.login or "", stored.password or "") == "ok"  # no task notices any of it
        return stored

    password = script()
    assert once("--dry-run") == "would_write"
    assert held().password == password, "a dry run changes nothing"

    assert once() == "written"
    assert held().password != password
    assert held().description.startswith(MARKER)

    password = script()
    assert held().password == password, "the marker goes with the connection"
    assert not held().description
    assert once() == "written"
    ours = held()
    assert ours.description.startswith(MARKER)

    assert once() != "written"
    assert held().password == ours.password, "once the script is gone, nothing is written before its time"
