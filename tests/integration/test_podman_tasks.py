"""Airflow's DockerOperator, and docker-py below it, on Podman's socket: what docs/podman.md says of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import docker
import pytest

from tests.integration.settings import CONNECTION, config_file, story
from tests.testbed.airflow import Airflow
from tests.testbed.airflow_flavours import AIRFLOW_2, SIMPLE, on
from tests.testbed.daemon import Finished, Product
from tests.testbed.podman import podman_service
from tests.testbed.processes import wait_until
from tests.testbed.registry import Registry
from tests.testbed.standins.honest.ecr import EcrStandIn

pytestmark = pytest.mark.real("engine, registry")
RunCli = Callable[..., Finished]


def test_docker_py_pulls_on_podmans_socket_with_the_file_and_hears_of_a_refusal_in_the_answer_alone(
    registry: Registry,
    ecr: EcrStandIn,
    run_cli: RunCli,
    tmp_path: Path,
    open_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Docker's engine refuses a pull with a status of its own, Podman with 200 and a line of the answer.

    The DockerOperator does not read that line: docs/podman.md says what comes of it.
    """
    registry.book.life_s = 3600
    wrong = {"username": "AWS", "password": "not a token of this registry"}
    with podman_service(open_path, registry.environment()) as (url, *_):
        once = run_cli("once", settings=story(None, tmp_path), ecr_url=ecr.url, env=registry.environment())
        assert once.exit_code == 0, once.stderr
        monkeypatch.setenv("DOCKER_CONFIG", str(config_file(tmp_path).parent))
        with closing(docker.APIClient(base_url=url, version="auto")) as api:

            def errors(login: dict[str, str] | None) -> list[str]:
                said = api.pull(registry.image, auth_config=login, stream=True, decode=True)
                return [line["error"] for line in said if "error" in line]

            assert not errors(None)
            (error,) = errors(wrong)
            assert "unauthorized" in error, error
            assert api.images(name=registry.image), "the image of before, which a task would run"


@on(SIMPLE, AIRFLOW_2)
@pytest.mark.timeout(600)
def test_a_docker_operators_task_runs_on_podmans_socket_after_three_renewals_and_not_without_the_daemon(
    airflow: Airflow, registry: Registry, ecr_url: str, product: Product, tmp_path: Path, open_path: Path
) -> None:
    with podman_service(open_path, registry.environment()) as (url, *_):
        given = story(airflow, tmp_path)
        given["docker"]["engine"] = url
        daemon = product.start_daemon(given, ecr_url=ecr_url, env=registry.environment(), measured=False)
        wait_until(lambda: len(daemon.logs("token_fetched")) >= 4, 120, "three renewals")
        run = airflow.dags_test(docker_url=url, within=240)
        assert run.succeeded, run.output
        assert "scraped the web" in run.output
        assert not daemon.logs("proof_failed"), "registry and engine took every token"
        daemon.stop()
        stored = airflow.db_connection(CONNECTION)
        assert stored is not None
        wait_until(lambda: registry.book.check("AWS", stored.password or "") == "expired", 25, "the token's end")
        run = airflow.dags_test(docker_url=url, within=240)
        assert not run.succeeded, "the test must be able to fail"
        assert "403" in run.output
