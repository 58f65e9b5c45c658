"""What the page may have to show: worlds by name, each with one sink or sixty."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from ecr_refresher.core import wire
from ecr_refresher.core.model import Failure, Outcome, Reason
from ecr_refresher.core.plan import Airflow, Connection, DockerConfig, Plan, Principal, Registry
from tests.unit.daemon.world import HOST, LIFE, PARTNER, World

SCENES = ("healthy", "failing", "never delivered")
DENIED = Failure(
    Reason.DENIED,
    "https://airflow.example.com answered 401: it refused the login of 'ecr-refresher'",
    "Correct the password in /run/secrets/airflow-password",
)


def plan(sinks: int) -> Plan:
    """Docker's file, and connections of two registries: as many as there are sinks."""
    names = ["docker_default", *(f"team_{number:02}_docker_with_a_rather_long_name" for number in range(sinks))]
    connections = tuple(
        Connection(name, "partner" if number % 3 == 2 else HOST, required=number % 7 != 6)
        for number, name in enumerate(names[: sinks - 1])
    )
    own, partner = Principal("ecr", "us-east-1"), Principal("ecr", "eu-west-1")
    registries = (Registry(HOST, HOST, own), Registry("partner", PARTNER, partner))
    airflows = (Airflow("default", "https://airflow.example.com/deployment", connections),) if connections else ()
    return Plan(
        registries[: 2 if sinks > 3 else 1], airflows, (DockerConfig("/home/airflow/.docker/config.json", (HOST,)),)
    )


def world(scene: str, sinks: int) -> World:
    world = World()
    if scene == "never delivered":
        world.loaded(plan(sinks)).say(wire.Clock(0.0, 0.0))
        failure = Failure(
            Reason.MISSING,
            "no AWS credentials were found: tried the environment and the container's role",
            "Give the container a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
        world.say(wire.Fetched("ecr/us-east-1", 0.1, failure=failure))
        return world.finish(*(_failed(slot, failure) for slot in world.state.slots))
    world.served(plan(sinks)).say()
    world.state = replace(world.state, skew=0.2)
    world.wait(0.4 * LIFE).turn()
    if scene == "healthy":
        return world.finish(*(world.fresh(slot) for slot in world.state.slots if slot[0].startswith("airflow/")))
    connections = [slot for slot in world.state.slots if slot[0].startswith("airflow/")]
    refused = structs.replace(DENIED, login_refused=True)
    world.finish(*(_failed(slot, refused) for slot in connections[::20]))
    lost = connections[1::20] or list(world.state.slots)
    missing = Failure(
        Reason.MISSING, "the connection does not exist, and 'create' is false", "Create it, or set create: true"
    )
    world.ask("refresh").turn()
    for slot in world.state.slots:
        if slot in lost:
            world.say(wire.Looked(*slot, until=None, needed=True), _failed(slot, missing))
        else:
            world.say(_failed(slot, refused) if slot in connections[::20] else world.fresh(slot))
    return world.finish()


def _failed(slot: tuple[str, str], failure: Failure) -> wire.Delivered:
    return wire.Delivered(*slot, Outcome.FAILED, 0.5, failure=failure)
