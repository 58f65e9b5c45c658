"""The network between the real daemon and ECR, registry and Airflow: each way of failing is told, and harms nothing.

All three speak TLS here, under a name that has to be resolved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGUSR1
from typing import Any

import pytest

from tests.faults.conftest import CONNECTION, HOST, PASSWORD, World, children
from tests.testbed.certificates import CertificateAuthority
from tests.testbed.daemon import Daemon
from tests.testbed.processes import wait_until
from tests.testbed.sabotage import sabotaged
from tests.testbed.secret_hunt import Secrets
from tests.testbed.standins.airflow import AirflowStandIn
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.honest.airflow_connections import Connection
from tests.testbed.standins.registry_front import RegistryFront
from tests.testbed.standins.script import Cut, Endless, HalfAnswer, WireFault

NAME = "localhost"
StandIns = tuple[EcrStandIn, RegistryFront, AirflowStandIn]


@dataclass
class Network:
    """The world behind TLS, and the means to take its name away."""

    world: World
    authority: CertificateAuthority
    no_dns: Path

    @property
    def stand_ins(self) -> StandIns:
        return self.world.ecr, self.world.front, self.world.airflow

    def start(self) -> Daemon:
        gone = "    def gone(*_, **__): raise socket.gaierror(-3, 'Temporary failure in name resolution')\n"
        place = "def serve() -> int:\n"
        edit = (
            f"import socket\nif os.path.exists({str(self.no_dns)!r}):\n{gone}    socket.getaddrinfo = gone\n\n\n{place}"
        )
        edits = sabotaged(self.world.directory / "edits", ("ecr_refresher.job.worker", place, edit))
        return self.world.start(env=edits)

    def heal(self, *stand_ins: EcrStandIn | RegistryFront | AirflowStandIn) -> None:
        self.no_dns.unlink(missing_ok=True)
        for stand_in in stand_ins:
            stand_in.heal()
            stand_in.start()
            stand_in.show(self.authority.issue(NAME))


def wire(fault: WireFault) -> Callable[[Network], None]:
    def begin(network: Network) -> None:
        for stand_in in network.stand_ins:
            stand_in.always(fault)

    return begin


def each(act: Callable[[Network, Any], object]) -> Callable[[Network], None]:
    def begin(network: Network) -> None:
        for stand_in in network.stand_ins:
            act(network, stand_in)

    return begin


@dataclass(frozen=True)
class Fault:
    """How it begins; what ECR's and Airflow's slots are told, and in which words."""

    begin: Callable[[Network], object]
    ecr: tuple[str, str]
    airflow: tuple[str, str]
    doubted: bool = True  # whether the proof at the registry fails; a 200 is a 200, whatever becomes of its body


CUT = ("transient", "broke")
LATE = ("transient", "no answer within")
UNTRUSTED = ("invalid", "certificate")
FAULTS = {
    "an answer cut off before its first byte": Fault(wire(Cut()), ("transient", "broke"), CUT),
    "half an answer": Fault(wire(HalfAnswer()), ("transient", "broke"), CUT, doubted=False),
    "an answer without end": Fault(wire(Endless()), LATE, LATE, doubted=False),
    "nobody listens": Fault(
        each(lambda _, stand_in: stand_in.stop()), ("transient", "refused"), ("transient", "refused")
    ),
    "an expired certificate": Fault(
        each(lambda network, stand_in: stand_in.show(network.authority.issue(NAME, expired=True))),
        UNTRUSTED,
        UNTRUSTED,
    ),
    "another host's certificate": Fault(
        each(lambda network, stand_in: stand_in.show(network.authority.issue("other.example.com"))),
        ("invalid", "TLS with localhost failed"),
        UNTRUSTED,
    ),
    "no DNS": Fault(lambda network: network.no_dns.touch(), ("transient", "DNS"), ("transient", "DNS"), doubted=False),
}


@pytest.fixture
def network(world: World, secrets_seen: Secrets) -> Iterator[Network]:
    authority = CertificateAuthority(world.directory / "ca")
    tls, book = authority.issue(NAME), world.book
    with (
        EcrStandIn(book, NAME, tls=tls) as ecr,
        RegistryFront(book, host=NAME, tls=tls) as front,
        AirflowStandIn(password=PASSWORD, host=NAME, tls=tls) as airflow,
    ):
        world.ecr, world.front, world.airflow = ecr, front, airflow
        secrets_seen.follow(lambda: airflow.jwt.issued)
        ca_file = str(authority.ca_file)
        world.settings["registries"] = [
            {"host": HOST, "registry_url": front.url, "endpoint_url": ecr.url, "ca_file": ca_file}
        ]
        world.settings["airflow"] |= {"url": airflow.url, "ca_file": ca_file}
        world.settings["refresh"]["deadline"] = "15s"
        yield Network(world, authority, world.directory / "no-dns")


def errors_of(daemon: Daemon) -> dict[str, Any]:
    status = daemon.status()
    return {"ecr": status["registries"][0]["last_error"]} | {
        slot["sink"].partition("/")[0]: slot["last_error"] for slot in status["slots"]
    }


def doubts_of(daemon: Daemon) -> float:
    return daemon.metrics().total("ecr_refresher_proof_failures_total", by="registry")


def test_whatever_the_network_does_is_told_and_passes(network: Network) -> None:
    world = network.world
    daemon = network.start()
    daemon.wait_for(lambda status: status["ready"])
    for how, fault in FAULTS.items():
        wait_until(lambda: not children(daemon.pid), 30, "an idle daemon")
        held = world.docker_password(), world.airflow_password()
        fault.begin(network)
        daemon.signal(SIGUSR1)
        wait_until(lambda: None not in errors_of(daemon).values(), 60, f"{how}: told")
        errors = errors_of(daemon)
        for part, (reason, said) in (("ecr", fault.ecr), ("docker", fault.ecr), ("airflow", fault.airflow)):
            assert errors[part]["reason"] == reason, (how, part, errors[part])
            assert said in errors[part]["message"], (how, part, errors[part])
        assert daemon.get("/readyz").status == 200, how
        assert (world.docker_password(), world.airflow_password()) == held, how

        # The registry alone in trouble: its proof only warns, and nobody waits for it.
        network.heal(world.ecr, world.airflow)
        doubts = doubts_of(daemon)
        daemon.signal(SIGUSR1)
        wait_until(lambda held=held: world.docker_password() != held[0], 60, f"{how}: a delivery")  # type: ignore[misc]
        if fault.doubted:
            wait_until(lambda doubts=doubts: doubts_of(daemon) > doubts, 20, f"{how}: a doubt")  # type: ignore[misc]
        assert (doubts_of(daemon) > doubts) is fault.doubted, how

        network.heal(*network.stand_ins)
        daemon.wait_for(lambda status: all(slot["last_error"] is None for slot in status["slots"]), within=60)
        assert world.all_is_well(), how


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_write_whose_answer_is_lost_is_looked_up_and_not_repeated_in_vain(method: str, world: World) -> None:
    daemon = world.start()
    daemon.wait_for(lambda status: status["ready"])
    connections = world.airflow.connections
    for fault in (Cut(processed=True), Cut(processed=False), HalfAnswer()):
        failures, writes = len(daemon.logs("delivery_failed")), len(world.airflow.writes)
        if method == "POST":
            del connections[CONNECTION]
        else:
            connections[CONNECTION] = Connection(CONNECTION, "docker", extra='{"reauth": false}', schema="mine")
        world.airflow.next(fault, method=method)
        daemon.signal(SIGUSR1)
        wait_until(lambda count=failures: len(daemon.logs("delivery_failed")) > count, 20, "a loss")  # type: ignore[misc]
        assert daemon.logs("delivery_failed")[-1]["reason"] == "transient", fault
        wait_until(world.all_is_well, 60, f"{fault}: the next try")
        daemon.wait_for(lambda status: all(slot["last_error"] is None for slot in status["slots"]))
        assert [write.method for write in world.airflow.writes[writes:]] == [method], fault
        if method == "PATCH":
            assert (connections[CONNECTION].extra, connections[CONNECTION].schema) == ('{"reauth": false}', "mine")
