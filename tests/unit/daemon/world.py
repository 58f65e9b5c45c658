"""A daemon without a shell: the pure step, driven by hand on a clock that goes only when told.

`World` plays supervisor and worker: it feeds events to the step and keeps what the step says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from msgspec import structs

from ecr_refresher.core import wire
from ecr_refresher.core.model import Failure, Outcome, Reason
from ecr_refresher.core.plan import (
    Airflow,
    Connection,
    DockerConfig,
    Plan,
    Principal,
    Refresh,
    Registry,
    SecretRef,
    Slot,
)
from ecr_refresher.daemon.machine import events
from ecr_refresher.daemon.machine.due import next_boot
from ecr_refresher.daemon.machine.state import SlotId, SlotState, State
from ecr_refresher.daemon.machine.step import initial, step
from ecr_refresher.daemon.web import metrics

T = TypeVar("T")

BOOT, EPOCH = 1000.0, 1_800_000_000.0  # a boot clock's reading, and AWS's time at that moment
LIFE = 43_200.0
HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
PARTNER = "210987654321.dkr.ecr.eu-west-1.amazonaws.com"
SETTINGS, CONFIG, PASSWORD = "/etc/ecr-refresher.yaml", "/root/.docker/config.json", "/run/secrets/airflow"
PRINCIPAL = "ecr/us-east-1"
DOCKER: SlotId = (f"docker/{CONFIG}", HOST)
AIRFLOW: SlotId = ("airflow/default/docker_default", HOST)


def plan(*, refresh: Refresh | None = None, docker: bool = True, airflow: bool = True, required: bool = True) -> Plan:
    """One registry, one file, one connection: the host of the story."""
    connection = Connection("docker_default", HOST, required=required)
    password = SecretRef("file", PASSWORD)
    return Plan(
        (Registry(HOST, HOST, Principal("ecr", "us-east-1")),),
        (Airflow("default", "https://airflow.example.com", (connection,), "ecr-refresher", password),)
        if airflow
        else (),
        (DockerConfig(CONFIG, (HOST,)),) if docker else (),
        refresh or Refresh(),
        settings_file=SETTINGS,
    )


class World:
    """Time, the state, and everything that was said since the last turn or `said()`."""

    def __init__(self, seed: int = 7) -> None:
        self.boot = BOOT
        self.slept = 0.0  # seconds that the machine was suspended
        self.wall_error = 0.0  # the wall clock minus AWS's time
        self.state: State = initial(seed, wire.Load("config.yaml"), BOOT, EPOCH, self.mono)
        self.actions: list[events.Action] = []
        self.files: dict[str, str] = {}

    # --- time --------------------------------------------------------------------------------------------------------
    @property
    def aws(self) -> float:
        return EPOCH + self.boot - BOOT

    @property
    def mono(self) -> float:
        return self.boot - self.slept

    def wait(self, seconds: float) -> World:
        self.boot += seconds
        return self

    def sleep(self, seconds: float) -> World:
        """The machine is suspended: the boot clock goes on, the monotonic one stands still."""
        self.slept += seconds
        return self.wait(seconds)

    def wait_until_next(self) -> World:
        """As the loop does: sleep until the step's next deadline, then turn."""
        self.boot = max(self.boot, next_boot(self.state))
        return self.turn()

    def until_start(self) -> wire.Job:
        """As the loop does, until the next pass begins: its job."""
        for _ in range(10_000):
            if starts := self.wait_until_next().said(events.Start):
                return starts[-1].job
        raise AssertionError("no pass was started")

    # --- events ------------------------------------------------------------------------------------------------------
    def feed(self, event: events.Event) -> World:
        self.state, actions = step(self.state, event, self.boot)
        self.actions += actions
        return self

    def turn(self) -> World:
        self.actions.clear()
        return self.feed(events.Turn(self.aws + self.wall_error, self.mono, dict(self.files)))

    def ask(self, what: Any) -> World:
        return self.feed(events.Asked(what))

    def say(self, *lines: wire.Line, job: int | None = None) -> World:
        """Lines of the worker that runs, or of the given job."""
        return self.feed(events.Reported(self.state.jobs if job is None else job, lines))

    def exit(self, how: str = "exit status 0", fix: str = "") -> World:
        return self.feed(events.Exited(how, fix=fix))

    def finish(self, *lines: wire.Line) -> World:
        return self.say(*lines, wire.Done()).exit()

    # --- what came of it ---------------------------------------------------------------------------------------------
    def said(self, kind: type[T]) -> list[T]:
        """The actions of one kind since they were last asked for; the others are dropped."""
        found: list[T] = [action for action in self.actions if isinstance(action, kind)]
        self.actions.clear()
        return found

    def job(self) -> wire.Job:
        """The job that was started since the last turn."""
        (start,) = self.said(events.Start)
        return start.job

    def orders(self) -> dict[SlotId, wire.Order]:
        return ordered(self.job())

    def events_said(self) -> list[str]:
        return [say.event for say in self.said(events.Say)]

    def slot(self, slot_id: SlotId) -> SlotState:
        return self.state.slots[slot_id]

    def plan_slot(self, slot_id: SlotId) -> Slot:
        return next(slot for slot in self.state.plan.slots if slot.id == slot_id)

    # --- whole passes ------------------------------------------------------------------------------------------------
    def loaded(self, of: Plan | None = None) -> World:
        """The first worker runs and has read the settings."""
        return self.turn().say(wire.Planned(of or plan(), witness="settings 1"))

    def served(self, of: Plan | None = None, *, life: float = LIFE) -> World:
        """The first pass is over, and all slots hold the first token; the passes' own words are forgotten."""
        self.files = {SETTINGS: "settings 1", CONFIG: "config 1", PASSWORD: "password 1"}
        self.loaded(of)
        self.finish(wire.Clock(EPOCH - BOOT, 0.0), self.fetched(life), *self.deliveries(life))
        self.actions.clear()
        return self

    def fetched(self, life: float = LIFE) -> wire.Fetched:
        return wire.Fetched(PRINCIPAL, 0.25, self.aws, self.aws + life)

    def deliveries(self, life: float = LIFE, slots: Iterable[SlotId] | None = None) -> list[wire.Line]:
        return [self.delivered(slot_id, life) for slot_id in slots or self.state.slots]

    def delivered(self, slot_id: SlotId, life: float = LIFE, **changed: Any) -> wire.Delivered:
        token = f"{self.state.jobs}.1.{PRINCIPAL}"
        witness = self.files.get(CONFIG) if slot_id[0].startswith("docker/") else None
        line = wire.Delivered(*slot_id, Outcome.WRITTEN, 0.5, self.aws + life, life, token, witness=witness)
        return structs.replace(line, **changed)

    def failed(
        self, slot_id: SlotId, reason: Reason = Reason.TRANSIENT, message: str = "it did not work", **more: Any
    ) -> wire.Delivered:
        failure = Failure(reason, message, "Try something else", **more)
        return wire.Delivered(*slot_id, Outcome.FAILED, 0.5, failure=failure)

    def fresh(self, slot_id: SlotId) -> wire.Looked:
        """A look that finds what is expected there."""
        known = self.slot(slot_id)
        return wire.Looked(
            *slot_id,
            until=known.held_until,
            why="fresh",
            life=known.life,
            witness=self.state.files.get(slot_id[0].removeprefix("docker/")),
        )


def scraped(world: World, accept: str = "") -> str:
    """What a scrape reads now."""
    write, _ = metrics.encoder(accept)
    return write(metrics.StateCollector(world.state, world.boot)).decode()


def failure(reason: Reason = Reason.TRANSIENT, message: str = "no answer", fix: str = "Ask again") -> Failure:
    return Failure(reason, message, fix)


def ordered(job: wire.Job) -> dict[SlotId, wire.Order]:
    """The slots that a job orders."""
    return {(order.sink, order.registry): order for order in job.orders or ()}
