"""A reader that asks Airflow without pause never finds the connection missing or halved; the user's fields stay."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from signal import SIGUSR1
from typing import Any

import pytest

from tests.integration.settings import AIRFLOW_SINK, CONNECTION, story
from tests.testbed.airflow import Airflow
from tests.testbed.airflow_flavours import MAIN, SIMPLE, on
from tests.testbed.daemon import Product
from tests.testbed.processes import wait_until
from tests.testbed.registry import HOST, Registry

pytestmark = pytest.mark.real("airflow, registry")
RENEWALS, FEWER = 20, 6  # Airflow 3 writes slower with each token it has seen: the others get fewer
OWN = {
    "description": "pulls for the data team\nask Ada; see [the wiki]",
    "port": 5000,
    "schema": "own-schema",
    "extra": '{"email": "data@example.com", "reauth": true, "secret_key": "own-secret-extra"}',
}


class Reader:
    """Asks for the connection as fast as the server answers, in a thread of its own."""

    def __init__(self, airflow: Airflow) -> None:
        self._airflow = airflow
        self._login = airflow.login("admin")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.answers: list[tuple[int, str | None, str | None]] = []

    def _read(self) -> None:
        while not self._done.is_set():
            path = f"{self._airflow.flavour.api}/connections/{CONNECTION}"
            status, body = self._airflow.request("GET", path, authorization=self._login)
            found: dict[str, Any] = body if status == 200 else {}
            self.answers.append((status, found.get("login"), found.get("host")))

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


@on(*MAIN)
def test_renewals_leave_no_gap_and_the_users_own_fields(
    airflow: Airflow, registry: Registry, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    renewals = RENEWALS if airflow.flavour is SIMPLE else FEWER
    registry.book.life_s = 120  # each renewal is asked for: what Airflow takes to write must not be judged here
    airflow.create_connection(CONNECTION, **OWN)
    daemon = product.start_daemon(story(airflow, tmp_path), ecr_url=ecr_url, env=registry.environment(), measured=False)
    daemon.wait_for(lambda status: status["ready"])
    written = daemon.metrics().value("ecr_refresher_delivery_attempts_total", sink=AIRFLOW_SINK)

    def renewed(times: float) -> bool:
        return daemon.metrics().value("ecr_refresher_delivery_attempts_total", sink=AIRFLOW_SINK) >= written + times

    with Reader(airflow) as reader:
        for times in range(1, renewals + 1):
            daemon.signal(SIGUSR1)
            wait_until(partial(renewed, times), 30, f"renewal {times}")
    assert daemon.metrics().total("ecr_refresher_delivery_failures_total") == 0
    assert len(reader.answers) > renewals
    assert set(reader.answers) == {(200, "AWS", HOST)}

    shown, stored = airflow.get_connection(CONNECTION), airflow.db_connection(CONNECTION)
    assert shown is not None
    assert stored is not None
    assert (shown["port"], shown["schema"]) == (OWN["port"], OWN["schema"])
    assert stored.extra == OWN["extra"]
    assert stored.description is not None
    assert stored.description.startswith(f"{OWN['description']} [ecr-refresher: {HOST} until ")
    assert registry.book.check("AWS", stored.password or "") == "ok"
    assert daemon.metrics().value("ecr_refresher_distinct_tokens_total", sink=AIRFLOW_SINK) >= renewals


def test_for_the_record_the_old_script_leaves_a_gap(
    airflow: Airflow, registry: Registry, record_property: Callable[[str, object], None]
) -> None:
    airflow.create_connection(CONNECTION, host=HOST, login="AWS", password="old-script-password")
    token = registry.book.issue(life_s=60)
    with Reader(airflow) as reader:
        assert airflow.cli("connections", "delete", CONNECTION).returncode == 0
        words = ("--conn-type", "docker", "--conn-host", HOST, "--conn-login", "AWS", "--conn-password", token.password)
        assert airflow.cli("connections", "add", CONNECTION, *words).returncode == 0
    missing = [answer for answer in reader.answers if answer[0] == 404]
    record_property("old_script_404s", len(missing))
    print(f"the old script's delete and add: {len(missing)} of {len(reader.answers)} reads found no connection")
    assert missing
