"""Many daemons on one connection of a real Airflow: few writes, no failed read, and no lasting harm by a late one."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ecr_refresher.core.model import Reason
from ecr_refresher.core.plan import Airflow as Planned
from ecr_refresher.core.plan import Connection, Plan, Principal, Refresh, SecretRef
from ecr_refresher.core.plan import Registry as PlannedRegistry
from ecr_refresher.job.sinks.airflow import marker
from tests.integration.conftest import Airflows
from tests.integration.fleet import Fleet, reader, renewals
from tests.testbed.airflow import Airflow
from tests.testbed.airflow_flavours import SIMPLE
from tests.testbed.processes import wait_until
from tests.testbed.registry import HOST
from tests.testbed.relay import Relay
from tests.testbed.secret_hunt import Secrets
from tests.testbed.standins.tokens import TokenBook

pytestmark = [pytest.mark.real("airflow"), pytest.mark.xdist_group("beside")]
CONNECTION = "docker_default"
SOAK = bool(os.environ.get("ECR_REFRESHER_SOAK"))  # `make soak`
CLIENTS, LIFE_S, WRITES_MAX = (200, 300.0, 4) if SOAK else (50, 60.0, 8)
ROUND_TRIPS_S = (0.0, 0.08) if SOAK else (0.0,)
# As docs/airflow.md advises: with its 15 database connections, Airflow blocks for 30 s when more requests are open.
POOL = {"AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW": str(CLIENTS)}


@pytest.fixture
def tokens(secrets_seen: Secrets) -> TokenBook:
    book = TokenBook(life_s=LIFE_S)
    secrets_seen.follow(lambda: [token.password for token in book.all_issued()])
    return book


@pytest.fixture
def airflow(airflows: Airflows) -> Iterator[Airflow]:
    """One of its own: a fleet that overwhelms it must not spoil the tests that come after."""
    own = airflows.new(SIMPLE, **POOL)
    try:
        own.start()
        yield own
    finally:
        own.close()


@pytest.fixture(params=ROUND_TRIPS_S)
def url(airflow: Airflow, request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the clients find that Airflow, as far away as this."""
    with Relay(airflow.url, request.param) as relay:
        yield relay.url if request.param else airflow.url


@pytest.fixture
def plan(airflow: Airflow, url: str, tmp_path: Path) -> Plan:
    password = tmp_path / "password"
    password.write_text(airflow.passwords["oper"])
    password.chmod(0o600)
    connections = (Connection(CONNECTION, HOST),)
    login = {"username": "oper", "password": SecretRef("file", str(password))}
    return Plan(
        (PlannedRegistry(HOST, HOST, Principal("ecr", "us-east-1")),),
        airflows=(Planned("default", url, connections, **login),),  # type: ignore[arg-type]
        refresh=Refresh(prove=False),
    )


def stored(airflow: Airflow) -> tuple[str | None, float]:
    """The password in Airflow's database, and until when its marker says that it lives."""
    found = airflow.db_connection(CONNECTION)
    if found is None:
        return None, 0.0
    return found.password, marker.read(found.description, HOST) or 0.0


@pytest.mark.timeout(1200 if SOAK else 300)
def test_a_fleet_writes_each_renewal_few_times_and_every_client_is_ready(
    airflow: Airflow, url: str, plan: Plan, tokens: TokenBook, record_property: Callable[[str, object], None]
) -> None:
    login = airflow.login("admin")
    passwords: set[str | None] = set()

    def read() -> tuple[int, str | None]:
        passwords.add(stored(airflow)[0])
        status, body = airflow.request("GET", f"{airflow.flavour.api}/connections/{CONNECTION}", authorization=login)
        return status, body.get("host") if isinstance(body, dict) else None

    began = time.monotonic()
    with Fleet(plan, tokens, CLIENTS) as fleet:
        wait_until(lambda: not fleet.not_ready(), max(60, LIFE_S * 0.6), "every client ready", 0.2)
        ready_s = time.monotonic() - began
        with reader(read) as answers:
            wait_until(lambda: len(renewals(fleet.writes, LIFE_S)) >= 3, LIFE_S * 2, "two renewals", 0.5)
            began = time.monotonic()
            while time.monotonic() - began < LIFE_S * 0.25:  # the stragglers of the second one
                assert not fleet.not_ready()
                time.sleep(0.5)
    counts = renewals(fleet.writes, LIFE_S)
    record_property("writes_per_renewal", counts)
    where = "near" if url == airflow.url else "far"
    print(
        f"{CLIENTS} clients {where}, tokens of {LIFE_S:g} s: writes {counts}, looks {fleet.looks},"
        f" reads {len(answers)}, failures {len(fleet.failures)}, ready after {ready_s:.1f} s"
    )
    assert fleet.crashes() == []
    assert {failure.reason for failure in fleet.failures} <= {Reason.TRANSIENT}  # late answers of a busy machine
    assert len(counts) == 3
    assert all(count <= WRITES_MAX for count in counts[1:]), counts
    assert set(answers) == {(200, HOST)}
    assert len(passwords - {None}) <= len(fleet.writes)


@pytest.mark.timeout(300)
def test_a_client_that_slept_between_look_and_write_does_no_lasting_harm(
    airflow: Airflow, plan: Plan, tokens: TokenBook
) -> None:
    airflow.create_connection(CONNECTION, description="ask Ada")
    asleep, awake = threading.Event(), threading.Event()

    def sleep(_: int) -> None:
        asleep.set()
        awake.wait()

    with contextlib.ExitStack() as both:
        try:
            sleeper = both.enter_context(Fleet(plan, tokens, 1, before_write=sleep))
            assert asleep.wait(60)  # before the other one begins, or it might find nothing to write
            old = min(token.expires_at for token in tokens.all_issued())
            # The other one delivers, and renews: the sleeper sleeps longer than a renewal takes to come.
            other = both.enter_context(Fleet(plan, tokens, 1))
            wait_until(lambda: len({write.until for write in other.writes}) >= 2, 120, "a renewal by the other")
            fresh_password, fresh = stored(airflow)
            assert fresh > old + 1
        finally:
            awake.set()
        overwritten = time.monotonic()
        wait_until(lambda: stored(airflow)[0] != fresh_password, 15, "the late write", 0.02)
        wait_until(lambda: stored(airflow)[1] >= fresh, 90, "the fresher token, or a still fresher one")
        print(f"the fresher one was back {time.monotonic() - overwritten:.1f} s after the late write")
        assert tokens.check("AWS", stored(airflow)[0] or "") == "ok"
        assert marker.strip((airflow.db_connection(CONNECTION) or pytest.fail("gone")).description) == "ask Ada"
    assert sleeper.crashes() + other.crashes() == []
