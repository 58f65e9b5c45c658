"""The story: a DAG whose task pulls from ECR goes on working, renewal after renewal; without the daemon it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.settings import AIRFLOW_SINK, CONNECTION, config_file, password_in, story
from tests.testbed.airflow import Airflow
from tests.testbed.airflow_flavours import MAIN, on
from tests.testbed.daemon import Daemon, Product
from tests.testbed.engine import Engine
from tests.testbed.processes import wait_until
from tests.testbed.registry import Registry

pytestmark = pytest.mark.real("airflow, engine, registry")


def writes(daemon: Daemon, sink: str) -> int:
    return len([line for line in daemon.logs("delivered") if line["sink"] == sink and line["outcome"] == "written"])


@on(*MAIN)
def test_the_scraper_runs_before_and_after_three_renewals_and_not_without_the_daemon(
    airflow: Airflow, engine: Engine, registry: Registry, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    daemon = product.start_daemon(
        story(airflow, tmp_path, engine), ecr_url=ecr_url, env=registry.environment(), measured=False
    )
    daemon.wait_for(lambda status: status["ready"])

    run = airflow.dags_test(docker_url=engine.url)
    assert run.succeeded, run.output
    before = writes(daemon, AIRFLOW_SINK)
    wait_until(lambda: writes(daemon, AIRFLOW_SINK) >= before + 3, 90, "three renewals")
    run = airflow.dags_test(docker_url=engine.url)
    assert run.succeeded, run.output

    pulled = engine.docker("pull", registry.image, config=config_file(tmp_path).parent)
    assert pulled.returncode == 0, pulled.stderr
    assert not daemon.logs("proof_failed"), "registry and engine took every token"
    assert daemon.metrics().total("ecr_refresher_delivery_failures_total") == 0

    daemon.stop()
    stored = airflow.db_connection(CONNECTION)
    assert stored is not None
    assert stored.password is not None
    held = stored.password, password_in(config_file(tmp_path))  # of a retry, the two may hold different tokens
    wait_until(lambda: {registry.book.check("AWS", one) for one in held} == {"expired"}, 25, "the tokens' end")
    run = airflow.dags_test(docker_url=engine.url)
    assert not run.succeeded, "the test must be able to fail"
    assert "403 Forbidden" in run.output
    assert engine.docker("pull", registry.image, config=config_file(tmp_path).parent).returncode != 0


@on(*MAIN)
def test_what_airflow_stores_is_the_token_as_the_operator_wants_it(
    airflow: Airflow, registry: Registry, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    done = product.run_cli(
        "once", "--json", settings=story(airflow, tmp_path), ecr_url=ecr_url, env=registry.environment()
    )
    assert done.exit_code == 0, done.stderr
    stored = airflow.db_connection(CONNECTION)
    assert stored is not None
    assert (stored.conn_type, stored.host, stored.login, stored.port) == ("docker", registry.host, "AWS", None)
    assert registry.book.check("AWS", stored.password or "") == "ok"
    held = {slot["sink"]: slot["held_until"] for slot in done.json()["slots"]}
    assert stored.description == f"[ecr-refresher: {registry.host} until {held[AIRFLOW_SINK]}]"
