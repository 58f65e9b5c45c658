"""A wrong password of Airflow: retried slowly, whatever the number of connections and however little life is left."""

from __future__ import annotations

import pytest

from ecr_refresher.core import wire
from ecr_refresher.core.model import Failure, Outcome, Reason
from ecr_refresher.core.plan import Airflow, Connection, Plan, Principal, Registry, SecretRef
from ecr_refresher.daemon.machine import due, events, step

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
REFUSED = Failure(Reason.DENIED, "refuses the user; correct one of them", login_refused=True)


@pytest.mark.parametrize("connections", [1, 7])
@pytest.mark.parametrize("seed", range(5))
def test_no_more_than_twelve_tries_an_hour(connections: int, seed: int) -> None:
    ids = tuple(Connection(f"docker_{number}", HOST) for number in range(connections))
    airflow = Airflow("default", "https://airflow", ids, username="u", password=SecretRef("file", "/p"))
    plan = Plan((Registry(HOST, HOST, Principal("ecr", "us-east-1")),), airflows=(airflow,))
    now, tries = 1000.0, 0
    known = step.initial(seed, wire.Load(), now, now, now)
    while now < 1000.0 + 3600.0:
        known, actions = step.step(known, events.Turn(now, now), now)
        for action in actions:
            if isinstance(action, events.Start):
                tries += 1  # one login for all slots of a pass: see AirflowSink
                lines: list[wire.Line] = [wire.Planned(plan)] if action.job.load is not None else []
                orders = action.job.orders or tuple(wire.Order(*slot.id) for slot in plan.slots)
                lines += [wire.Delivered(o.sink, o.registry, Outcome.FAILED, failure=REFUSED) for o in orders]
                known, _ = step.step(known, events.Reported(action.job.id, (*lines, wire.Done())), now)
                known, _ = step.step(known, events.Exited("exit status 0"), now)
        now = max(now + 0.5, due.next_boot(known))
    assert 10 <= tries <= 12
