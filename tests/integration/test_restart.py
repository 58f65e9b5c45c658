"""A restart, a second run and a retry know what is still good, and fetch nothing for it."""

from __future__ import annotations

from pathlib import Path
from signal import SIGUSR1

import pytest

from tests.integration.settings import AIRFLOW_SINK, CONNECTION, config_file, story
from tests.testbed.airflow import Airflow
from tests.testbed.daemon import Product
from tests.testbed.processes import wait_until
from tests.testbed.registry import Registry
from tests.testbed.standins.aws_faults import ServerError
from tests.testbed.standins.ecr import EcrStandIn

pytestmark = pytest.mark.real("airflow, registry")
LIFE_S = 12 * 3600


def test_a_restart_while_ecr_is_down_knows_what_is_good_and_fetches_nothing(
    airflow: Airflow, registry: Registry, ecr: EcrStandIn, product: Product, tmp_path: Path
) -> None:
    registry.book.life_s = LIFE_S
    settings, trust = story(airflow, tmp_path), registry.environment()
    daemon = product.start_daemon(settings, ecr_url=ecr.url, env=trust, measured=False)
    first = daemon.wait_for(lambda status: status["ready"])
    calls = len(ecr.calls)
    ecr.always(ServerError())
    daemon.restart()
    again = daemon.wait_for(lambda status: status["ready"])
    held = [{slot["sink"]: slot["held_until"] for slot in status["slots"]} for status in (first, again)]
    assert held[0] == held[1]
    wait_until(lambda: len(daemon.logs("pass_finished")) >= 2, 10, "the end of the pass after the restart")
    assert len(ecr.calls) == calls

    done = product.run_cli("once", "--json", settings=settings, ecr_url=ecr.url, env=trust)
    assert done.exit_code == 0, done.stderr
    assert {slot["sink"]: slot["outcome"] for slot in done.json()["slots"]} == {
        AIRFLOW_SINK: "skipped",
        f"docker/{config_file(tmp_path)}": "unchanged",
    }
    assert len(ecr.calls) == calls


def test_force_and_sigusr1_write_at_once_whatever_the_marker_says(
    airflow: Airflow, registry: Registry, ecr: EcrStandIn, product: Product, tmp_path: Path
) -> None:
    registry.book.life_s = LIFE_S
    marker = f"mine [ecr-refresher: {registry.host} until 2099-01-01T00:00:00Z]"
    airflow.create_connection(
        CONNECTION, host=registry.host, login="AWS", password="the-old-password", description=marker
    )
    settings, trust = story(airflow, tmp_path), registry.environment()

    def stored() -> str:
        found = airflow.db_connection(CONNECTION)
        assert found is not None
        assert found.password is not None
        return found.password

    for _ in range(2):
        before = stored()
        done = product.run_cli("once", "--force", "--json", settings=settings, ecr_url=ecr.url, env=trust)
        assert done.exit_code == 0, done.stderr
        assert {slot["outcome"] for slot in done.json()["slots"]} == {"written"}
        assert stored() != before
    daemon = product.start_daemon(settings, ecr_url=ecr.url, env=trust, measured=False)
    daemon.wait_for(lambda status: status["ready"])
    wait_until(lambda: len(daemon.logs("pass_finished")) == 1, 10, "the end of the first pass")
    before = stored()
    daemon.signal(SIGUSR1)
    wait_until(lambda: stored() != before, 15, "the write that was asked for")
    assert registry.book.check("AWS", stored()) == "ok"


def test_once_fails_softly_while_what_is_held_is_good_for_half_an_hour(
    registry: Registry, ecr: EcrStandIn, product: Product, tmp_path: Path
) -> None:
    settings, trust = story(None, tmp_path), registry.environment()
    registry.book.life_s = LIFE_S
    assert product.run_cli("once", settings=settings, ecr_url=ecr.url, env=trust).exit_code == 0
    ecr.always(ServerError())
    soft = product.run_cli("once", "--force", settings=settings, ecr_url=ecr.url, env=trust)
    assert (soft.exit_code, "warning:" in soft.stdout) == (0, True), soft.stdout
    strict = product.run_cli("once", "--force", "--strict", settings=settings, ecr_url=ecr.url, env=trust)
    assert strict.exit_code == 1
    config_file(tmp_path).unlink()
    assert product.run_cli("once", settings=settings, ecr_url=ecr.url, env=trust).exit_code == 1


def test_a_dry_run_fetches_and_writes_nothing(
    airflow: Airflow, ecr: EcrStandIn, registry: Registry, product: Product, tmp_path: Path
) -> None:
    settings = story(airflow, tmp_path)
    done = product.run_cli("once", "--dry-run", "--json", settings=settings, ecr_url=ecr.url)
    assert done.exit_code == 0, done.stderr
    assert {slot["outcome"] for slot in done.json()["slots"]} == {"would_write"}
    assert ecr.calls == []
    assert not config_file(tmp_path).parent.exists()
    assert airflow.get_connection(CONNECTION) is None
