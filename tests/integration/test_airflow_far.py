"""An Airflow as far away as users have it: 80 ms an answer on a good day, 5 s on a bad one."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.testbed.airflow import Airflow
from tests.testbed.daemon import Finished, Product
from tests.testbed.registry import HOST
from tests.testbed.relay import Relay
from tests.testbed.standins.airflow import AirflowStandIn
from tests.testbed.standins.ecr import EcrStandIn

pytestmark = pytest.mark.xdist_group("timing")
FAR_S, BAD_DAY_S = 0.08, 5.0
PASS_S = 10.0
USER = "ecr-refresher"


@pytest.fixture
def stand_in(product: Product) -> Iterator[AirflowStandIn]:
    with AirflowStandIn(USER, product.secrets_seen.add("the password of Airflow's user")) as stand_in:
        yield stand_in
    assert stand_in.crashes == []


def once(
    product: Product, ecr: EcrStandIn, url: str, user: str, password: str, count: int, *args: str, **refresh: Any
) -> tuple[Finished, float]:
    """One pass over so many connections; how it ended, and after how long."""
    settings = {
        "registries": [HOST],
        "airflow": {
            "url": url,
            "username": user,
            "password_env": "AIRFLOW_WORD",
            "connections": {f"docker_{number}": HOST for number in range(count)},
        },
        "refresh": {"prove": False, **refresh},
    }
    ecr.book.life_s = 3600
    began = time.monotonic()
    env = {"AIRFLOW_WORD": password}
    done = product.run_cli("once", "--json", *args, settings=settings, ecr_url=ecr.url, env=env, within=120)
    return done, time.monotonic() - began


def outcomes(done: Finished) -> list[str]:
    return [slot["outcome"] for slot in done.json()["slots"]]


# What the distance may add, whatever the machine's speed: it is 4 and 62 answers of 80 ms, four at a time. `make bench`
# has the seconds of the whole.
@pytest.mark.parametrize(("count", "added_s"), [(1, 1.5), (30, 4.0)])
def test_connections_80_ms_away_are_written_in_time(
    stand_in: AirflowStandIn, product: Product, ecr: EcrStandIn, count: int, added_s: float, record_property: Any
) -> None:
    near, near_s = once(product, ecr, stand_in.url, USER, "the password of Airflow's user", count)
    with Relay(stand_in.url, FAR_S) as far:
        done, took_s = once(product, ecr, far.url, USER, "the password of Airflow's user", count, "--force")
    assert (done.exit_code, near.exit_code) == (0, 0), done.stderr + near.stderr
    assert outcomes(done) == outcomes(near) == ["written"] * count
    record_property("took_s", [took_s, near_s])
    print(f"{count} connections {FAR_S * 1000:g} ms away: {took_s:.2f} s, near {near_s:.2f} s, {far.requests} requests")
    assert took_s - near_s < added_s
    assert far.requests <= 2 + 3 * count, "the version, the login, and for each a look or two and a write"


@pytest.mark.real("airflow")
def test_thirty_connections_of_a_real_airflow_80_ms_away(
    airflow: Airflow, product: Product, ecr: EcrStandIn, record_property: Any
) -> None:
    with Relay(airflow.url, FAR_S) as far:
        done, took_s = once(product, ecr, far.url, "oper", airflow.passwords["oper"], 30)
        assert done.exit_code == 0, done.stderr
        assert outcomes(done) == ["written"] * 30
        again, again_s = once(product, ecr, far.url, "oper", airflow.passwords["oper"], 30)
        renewed, renewed_s = once(product, ecr, far.url, "oper", airflow.passwords["oper"], 30, "--force")
    assert outcomes(again) == ["skipped"] * 30
    assert outcomes(renewed) == ["written"] * 30
    record_property("took_s", [took_s, again_s, renewed_s])
    print(f"created {took_s:.2f} s, looked at {again_s:.2f} s, renewed {renewed_s:.2f} s")
    assert took_s < 6.0


@pytest.mark.timeout(120)
def test_an_airflow_that_takes_5_s_for_each_answer_is_served(
    stand_in: AirflowStandIn, product: Product, ecr: EcrStandIn
) -> None:
    with Relay(stand_in.url, BAD_DAY_S) as far:
        done, _ = once(product, ecr, far.url, USER, "the password of Airflow's user", 1)
    assert done.exit_code == 0, done.stderr
    assert outcomes(done) == ["written"]


class Tiring(Relay):
    """Passes on so many writes of connections, then holds every request until it has rested, and loses it.

    So a pass gets through a part of its work, whatever the speed of the machine.
    """

    def __init__(self, upstream: str, delay_s: float, writes_max: int) -> None:
        super().__init__(upstream, delay_s)
        self._writes_max = writes_max
        self._left = writes_max
        self._lock = threading.Lock()
        self._rested = threading.Event()

    def rest(self) -> None:
        """Lose what is held, and be good for as many writes again."""
        with self._lock:
            self._rested.set()
            self._left, self._rested = self._writes_max, threading.Event()

    def loses_request(self, piece: bytes) -> bool:
        with self._lock:
            rested = self._rested
            if self._left:
                self._left -= piece.startswith(b"POST /api/v2/connections")
                return False
        rested.wait(60)
        return True


@pytest.mark.timeout(240)
def test_what_does_not_fit_into_one_pass_is_kept_and_continued_in_the_next(
    stand_in: AirflowStandIn, product: Product, ecr: EcrStandIn
) -> None:
    """Thirty connections, of which a pass has time for twelve: each pass brings some, and none is written twice."""
    passes: list[Finished] = []
    written: list[int] = []
    with Tiring(stand_in.url, FAR_S, 12) as far:
        while not passes or ("failed" in outcomes(passes[-1]) and len(passes) < 8):
            far.rest()
            done, took_s = once(
                product, ecr, far.url, USER, "the password of Airflow's user", 30, deadline=f"{PASS_S:g}s"
            )
            passes.append(done)
            written.append(len(stand_in.writes))
            assert took_s < PASS_S + 5
    assert "failed" in outcomes(passes[0])
    assert 0 < written[0] < 30
    assert all(before < after for before, after in itertools.pairwise(written)), written
    assert passes[-1].exit_code == 0, passes[-1].stderr
    assert len(stand_in.connections) == 30
    assert len(stand_in.writes) == 30
