"""What is down delays nobody else, and gets the newest token once it is back."""

from __future__ import annotations

import json
import time
from pathlib import Path
from signal import SIGUSR1

from tests.integration.settings import AIRFLOW_SINK, CONNECTION, config_file, password_in, story
from tests.testbed.airflow import Airflow
from tests.testbed.daemon import Daemon, Product
from tests.testbed.engine import Engine
from tests.testbed.processes import wait_until
from tests.testbed.registry import HOST, Registry
from tests.testbed.relay import LossyRelay
from tests.testbed.standins.aws_faults import ServerError
from tests.testbed.standins.ecr import EcrStandIn

FAST = {"retry_first": "1s", "retry_max": "4s"}


def writes(daemon: Daemon, sink: str) -> int:
    found = daemon.metrics().matching("ecr_refresher_delivery_duration_seconds_count", sink=sink)
    failed = daemon.metrics().total("ecr_refresher_delivery_failures_total", sink=sink)
    return int(sum(found.values()) - failed)


def test_airflow_down_for_three_renewals_never_makes_docker_late(
    airflow: Airflow, registry: Registry, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    settings = story(airflow, tmp_path, refresh=FAST)
    daemon = product.start_daemon(settings, ecr_url=ecr_url, env=registry.environment(), measured=False)
    daemon.wait_for(lambda status: status["ready"])
    docker = f"docker/{config_file(tmp_path)}"

    airflow.stop()
    before = writes(daemon, docker)
    while writes(daemon, docker) < before + 3:
        assert daemon.metrics().value("ecr_refresher_sink_ready", sink=docker) == 1
        assert registry.book.check("AWS", password_in(config_file(tmp_path))) == "ok"
        assert daemon.running
        time.sleep(0.3)
    assert daemon.slot("airflow")["last_error"]["reason"] == "transient"

    written = writes(daemon, AIRFLOW_SINK)
    airflow.start()
    daemon.wait_for(lambda status: status["ready"], within=60)
    assert writes(daemon, AIRFLOW_SINK) == written + 1
    stored = airflow.db_connection(CONNECTION)
    assert stored is not None
    assert registry.book.check("AWS", stored.password or "") == "ok"


def test_a_frozen_airflow_never_makes_docker_late(
    airflow: Airflow, registry: Registry, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    settings = story(airflow, tmp_path, refresh=FAST)
    daemon = product.start_daemon(settings, ecr_url=ecr_url, env=registry.environment(), measured=False)
    daemon.wait_for(lambda status: status["ready"])
    docker = f"docker/{config_file(tmp_path)}"
    with airflow.frozen():
        before = writes(daemon, docker)
        while writes(daemon, docker) < before + 2:
            assert daemon.metrics().value("ecr_refresher_sink_ready", sink=docker) == 1
            time.sleep(0.3)
    daemon.wait_for(lambda status: status["ready"], within=60)


def test_an_engine_that_is_down_never_makes_airflow_late(
    airflow: Airflow, engine: Engine, registry: Registry, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    settings = story(airflow, tmp_path, engine, refresh=FAST)
    daemon = product.start_daemon(settings, ecr_url=ecr_url, env=registry.environment(), measured=False)
    daemon.wait_for(lambda status: status["ready"])
    engine.stop()
    before = writes(daemon, AIRFLOW_SINK)
    while writes(daemon, AIRFLOW_SINK) < before + 2:
        assert daemon.metrics().value("ecr_refresher_sink_ready", sink=AIRFLOW_SINK) == 1
        time.sleep(0.3)
    doubts = daemon.metrics().value("ecr_refresher_proof_failures_total", by="engine")
    assert doubts >= 1
    assert daemon.get("/readyz").status == 200, "the engine's proof only ever warns"
    engine.start()


def test_ecr_down_from_half_life_until_after_expiry_is_told_at_expiry_and_recovers(
    registry: Registry, ecr: EcrStandIn, product: Product, tmp_path: Path
) -> None:
    settings = story(None, tmp_path, refresh=FAST)
    daemon = product.start_daemon(settings, ecr_url=ecr.url, env=registry.environment(), measured=False)
    daemon.wait_for(lambda status: status["ready"])
    ecr.always(ServerError())
    until = daemon.metrics().value("ecr_refresher_delivered_token_expiration_timestamp_seconds")
    while time.time() < until - 0.5:
        assert daemon.get("/readyz").status == 200
        time.sleep(0.2)
    time.sleep(max(0.0, until + 0.5 - time.time()))
    refused = daemon.get("/readyz?verbose")
    assert refused.status == 503
    assert f"[-]docker/{config_file(tmp_path)} failed: transient" in refused.text
    assert daemon.get("/livez").status == 200

    time.sleep(10)
    tries = [call.at for call in ecr.calls[1:]]
    assert len(tries) >= 4
    assert daemon.get("/livez").status == 200
    assert daemon.get("/readyz").status == 503
    ecr.heal()
    daemon.wait_for(lambda status: status["ready"], within=15)
    assert registry.book.check("AWS", password_in(config_file(tmp_path))) == "ok"


def test_a_deleted_connection_comes_back_at_the_next_look(
    airflow: Airflow, registry: Registry, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    settings = story(airflow, tmp_path, refresh={"verify_every": "2s"})
    registry.book.life_s = 600
    daemon = product.start_daemon(settings, ecr_url=ecr_url, env=registry.environment(), measured=False)
    daemon.wait_for(lambda status: status["ready"])
    wait_until(lambda: daemon.slot("airflow")["outcome"] == "written", 10, "the first delivery")
    airflow.delete_connection(CONNECTION)
    wait_until(lambda: airflow.db_connection(CONNECTION) is not None, 90, "the repair")
    wait_until(
        lambda: daemon.metrics().value("ecr_refresher_drift_repaired_total", sink=AIRFLOW_SINK) == 1, 5, "its count"
    )


def test_a_docker_logout_is_undone_within_a_turn(
    registry: Registry, engine: Engine, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    registry.book.life_s = 600
    daemon = product.start_daemon(story(None, tmp_path), ecr_url=ecr_url, env=registry.environment(), measured=False)
    daemon.wait_for(lambda status: status["ready"])
    done = engine.docker("logout", HOST, config=config_file(tmp_path).parent)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: HOST in json.loads(config_file(tmp_path).read_text()).get("auths", {}), 75, "the repair")
    wait_until(lambda: daemon.metrics().total("ecr_refresher_drift_repaired_total") == 1, 5, "its count")


def test_a_frozen_engine_never_makes_the_file_late(
    engine: Engine, registry: Registry, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    settings = story(None, tmp_path, engine, refresh=FAST)
    daemon = product.start_daemon(settings, ecr_url=ecr_url, env=registry.environment(), measured=False)
    daemon.wait_for(lambda status: status["ready"])
    docker = f"docker/{config_file(tmp_path)}"
    with engine.frozen():
        before = writes(daemon, docker)
        while writes(daemon, docker) < before + 1:
            assert daemon.metrics().value("ecr_refresher_sink_ready", sink=docker) == 1
            assert registry.book.check("AWS", password_in(config_file(tmp_path))) == "ok"
            time.sleep(0.3)
        wait_until(
            lambda: daemon.metrics().value("ecr_refresher_proof_failures_total", by="engine") >= 1, 30, "the doubt"
        )
    assert daemon.get("/readyz").status == 200


def test_a_write_into_airflow_whose_answer_is_lost_is_found_and_one_that_was_lost_itself_is_made(
    airflow: Airflow, registry: Registry, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    registry.book.life_s = 3600
    airflow.create_connection(
        CONNECTION, host="old", login="old", password="the-old-password", extra='{"reauth": true}'
    )
    settings = story(airflow, tmp_path, refresh=FAST)

    def stored() -> str:
        found = airflow.db_connection(CONNECTION)
        assert found is not None
        assert json.loads(found.extra or "{}") == {"reauth": True}
        return found.password or ""

    with LossyRelay(airflow.url) as proxy:
        settings["airflow"]["url"] = proxy.url
        proxy.lose_next("PATCH", reached=True)
        daemon = product.start_daemon(settings, ecr_url=ecr_url, env=registry.environment(), measured=False)
        wait_until(lambda: proxy.lost == 1, 60, "the loss of an answer")
        written = stored()
        assert registry.book.check("AWS", written) == "ok", "it was written all the same"
        daemon.wait_for(lambda status: status["ready"] and daemon.slot("airflow")["last_error"] is None, within=60)
        assert len(daemon.logs("delivery_failed")) == 1
        assert stored() == written, "and so it is not written again"

        proxy.lose_next("PATCH", reached=False)
        daemon.signal(SIGUSR1)
        wait_until(lambda: len(daemon.logs("delivery_failed")) == 2, 60, "the loss of a request")
        wait_until(lambda: proxy.lost == 2, 10, "its count")
        daemon.wait_for(lambda status: status["ready"] and daemon.slot("airflow")["last_error"] is None, within=60)
        assert registry.book.check("AWS", stored()) == "ok"
