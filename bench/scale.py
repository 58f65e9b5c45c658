"""How cost grows: with registries, with connections, with the clients of one connection."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.world import World, say
from tests.aws.many import Pass, platform
from tests.simulation.test_fleet import LIFE, renewal
from tests.testbed.measuring import Ended, measure

REGISTRIES = (1, 10, 100, 1000)
CONNECTIONS = (1, 10, 50, 200)
FAR_CONNECTIONS = 30
CLIENTS = (1, 10, 100, 1000)


@dataclass(frozen=True)
class Scaled:
    """A pass: medians."""

    pass_s: float
    cpu_s: float
    peak_mb: float


def of_registries(count: int, runs: int) -> Scaled:
    """Measure registries of as many principals, each a role of its own; one config.json; proofs on; AWS 20 ms away."""
    passes = []
    for _ in range(runs):
        say(f"{count} registries")
        with platform(_registries(count), throttled=False) as world:
            done = world.once("--strict")
            if done.exit_code:
                raise Ended(done.stderr[-4000:])
            passes.append(done)
    return _scaled(passes)


def _scaled(passes: Sequence[Pass]) -> Scaled:
    return Scaled(
        statistics.median(done.pass_s for done in passes),
        statistics.median(done.cost.cpu_s for done in passes),
        statistics.median(done.cost.peak_mb for done in passes),
    )


def of_connections(world: World, count: int, runs: int) -> Scaled:
    """Measure one registry and so many connections of one real Airflow. Raises Ended if one is not written."""
    connections = {f"docker_{number}": world.settings["registries"][0] for number in range(count)}
    settings = {
        "registries": world.settings["registries"],
        "airflow": {**world.settings["airflow"], "connections": connections},
    }
    file = world.directory / "connections.yaml"
    file.write_text(json.dumps(settings))
    costs = []
    for _ in range(runs):
        say(f"{count} connections")
        command = [*world.command("once", "--force", "--strict")[:-1], str(file)]
        costs.append(measure(command, world.environment).ok())
    world.fresh()
    return Scaled(
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        statistics.median(cost.peak_mb for cost in costs),
    )


def writes_per_renewal(clients: int, renewals: int = 700) -> float:
    """Return how many of so many clients write into their one connection per renewal: simulated, for a year."""
    rng, now, writes = random.Random(clients), 0.0, 0
    for _ in range(renewals):
        writers, now = renewal(rng, clients, now)
        writes += writers
    return writes / renewals if now > LIFE else 0.0


def _registries(count: int) -> list[dict[str, str]]:
    accounts = range(210987654300, 210987654300 + count)
    return [
        {
            "host": f"{account}.dkr.ecr.us-east-1.amazonaws.com",
            "role_arn": f"arn:aws:iam::{account}:role/ecr-pull",
        }
        for account in accounts
    ]
