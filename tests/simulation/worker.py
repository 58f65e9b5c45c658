"""A worker process: the real pass of job/refresh.py, over the simulated world, line by line; may be killed anywhere.

Where the sinks and the source of the job speak to the network, these models speak to the world. They keep to what
the real ones promise: one login for each Airflow and pass, a second look before a late write, files replaced whole.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Protocol, cast

from ecr_refresher.core import wire
from ecr_refresher.core.model import NOTHING, Credential, Failed, Holding, Outcome, Reason, Secret
from ecr_refresher.core.plan import Engine, Plan, Principal, Registry, Slot
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.net.proof import Refused
from ecr_refresher.job.refresh.refresh_pass import RefreshPass, Sink

from .clock import NEVER, Steps
from .world import DEADLY, LIES, OK, REFUSED, Entry, SlotId, Token, World

LIFE_MAX_S = 30 * 86400.0  # as job/sources/ecr.py refuses it
CLIENT_S = 20.0  # the longest that our clients wait for one answer
LOOK_HOLDS_S = 1.0  # as job/sinks/airflow/api.py
ALARM_S = 5.0  # as job/worker.py
_owner: contextvars.ContextVar[Worker] = contextvars.ContextVar("worker")
Call = tuple["Worker", Steps[Any]]


class Machine(Protocol):
    """What a worker needs of the host that it runs on."""

    name: str
    plan: Plan

    def boot(self) -> float: ...
    def wall(self) -> float: ...
    def frozen_until(self) -> float: ...
    def heard(self, worker: Worker, line: wire.Line) -> None: ...
    def gone(self, worker: Worker, how: str) -> None: ...


def task_factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """Note each task with the worker that it belongs to, so that a kill ends them all."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    _owner.get().tasks.append(task)
    return task


class Worker:
    """One process."""

    def __init__(self, world: World, machine: Machine, job: wire.Job) -> None:
        self.world, self.machine, self.job = world, machine, job
        self.dead = False
        self.stopped = False  # by SIGSTOP: lives, and does nothing any more
        self.tasks: list[asyncio.Task[Any]] = []
        self.seen: dict[SlotId, tuple[Entry, int]] = {}  # what our looks and answered writes have shown
        self.alarm = world.loop.call_later(max(0.0, job.ends_at - machine.boot()) + ALARM_S, self.die)
        world.loop.call_later(world.rng.uniform(0.3, 1.0), self._begin)

    def frozen_until(self) -> float:
        return NEVER if self.stopped else self.machine.frozen_until()

    def die(self, how: str = "killed by signal 14") -> None:
        """End at once, wherever it stands. What it has sent is on its way nevertheless."""
        if self.dead:
            return
        self.dead = True
        self.alarm.cancel()
        for task in self.tasks:
            task.cancel()
        self.machine.gone(self, how)

    def report(self, line: wire.Line) -> None:
        if self.dead:
            return
        thaws = self.frozen_until()
        if thaws > self.world.now:
            if thaws != NEVER:
                self.world.loop.call_at(thaws, self.report, line)
            return
        self.machine.heard(self, line)

    def _begin(self) -> None:
        thaws = self.frozen_until()
        if thaws > self.world.now and thaws != NEVER:
            self.world.loop.call_at(thaws, self._begin)
        elif not self.dead and thaws != NEVER:
            context = contextvars.copy_context()
            context.run(self._start)

    def _start(self) -> None:
        _owner.set(self)
        plan = self.machine.plan
        if self.job.load is not None:
            if self.world.part(f"settings/{self.machine.name}").mood == DEADLY:
                self.die("killed by signal 9")
                return
            if self.world.part(f"settings/{self.machine.name}").moods:
                self.report(wire.Refused(("airflow: expected a mapping",)))
                self._finish()
                return
            self.report(wire.Planned(plan))
        offset = self.job.clock_offset
        clock = AwsClock(
            offset, boot=self.machine.boot, wall=self.machine.wall, on_change=lambda o, s: self.report(wire.Clock(o, s))
        )
        the_pass = RefreshPass(self.job, self.job.plan or plan, Tools(self, clock))
        task = self.world.loop.create_task(the_pass.run())
        task.add_done_callback(lambda done: None if done.cancelled() else self._finish())

    def _finish(self) -> None:
        thaws = self.frozen_until()
        if thaws > self.world.now:
            if thaws != NEVER:
                self.world.loop.call_at(thaws, self._finish)
            return
        self.report(wire.Done())
        self.world.loop.call_later(0.02, self.die, "exit status 0")


class Tools:
    """What the pass acts with: `Tools` of job/refresh.py. A call gives its worker and its steps to the loop."""

    def __init__(self, worker: Worker, clock: AwsClock) -> None:
        self.worker, self.world, self.clock = worker, worker.world, clock
        self._logins: dict[str, Failed | bool | None] = {}  # None: under way
        self.file_versions: dict[str, dict[str, int]] = {}  # path -> registry -> the version last known

    def report(self, line: wire.Line) -> None:
        self.worker.report(line)

    def sink(self, slot: Slot, registry: Registry) -> Sink:
        return cast("Sink", (FileSlot if slot.kind == "docker" else AirflowSlot)(self, slot, registry))

    # --- AWS ---------------------------------------------------------------------------------------------------------
    def fetch(self, principal: Principal) -> Credential:
        return cast("Credential", (self.worker, self._fetch(principal)))

    def _fetch(self, principal: Principal) -> Steps[Credential]:
        world = self.world
        if world.onlooker is not None:
            world.onlooker.fetch_begun(self.worker, principal.key)
        sent = self.clock.boot()
        yield world.rng.uniform(0.02, 0.2)
        mood = world.part(f"ecr/{principal.key}").mood
        if mood == "hangs":
            yield CLIENT_S
        if mood == "slow":
            yield world.rng.uniform(0.3, 1.0) * world.slow_s
        if mood in ("hangs", "down"):
            raise Failed(Reason.TRANSIENT, "ECR does not answer")
        date = formatdate(world.aws_now, usegmt=True)
        yield world.rng.uniform(0.02, 0.2)
        self.clock.observe(sent, date)
        if mood == "throttled":
            raise Failed(Reason.THROTTLED, "ECR: Rate exceeded")
        if mood == "denied":
            raise Failed(Reason.DENIED, "ECR: AccessDenied")
        token = _granted(world, mood)
        if token is None or not 0 < token.expires_at - self.clock.now() <= LIFE_MAX_S:
            raise Failed(Reason.INVALID, "ECR's answer makes no sense")
        return Credential("AWS", Secret(str(token.number)), self.clock.now(), token.expires_at)

    # --- proofs ------------------------------------------------------------------------------------------------------
    def prove(self, registry: Registry, credential: Credential) -> None:
        return cast("None", (self.worker, self._prove(registry)))

    def _prove(self, registry: Registry) -> Steps[None]:
        part = self.world.part(f"registry/{registry.name}")
        yield self.world.rng.uniform(0.02, 0.2)
        mood = part.mood
        if mood == "refuses":
            raise Refused
        if mood == "refuses once":
            self.world.end(part.name, mood)
            raise Refused
        if mood == "unreachable":
            yield 3.0
            raise Failed(Reason.TRANSIENT, "could not be reached")
        if mood == "proxy 403":
            raise Failed(Reason.INVALID, "answered 403")

    def probe(self, registry: Registry, credential: Credential) -> None:
        raise NotImplementedError

    def engine_login(self, engine: Engine, host: str, credential: Credential) -> None:
        raise NotImplementedError

    # --- Airflow -----------------------------------------------------------------------------------------------------
    def request(self, airflow: str, serve: Callable[[], Any]) -> Steps[Any]:
        """One request: `serve` happens at the server, whether or not the client lives to hear of it."""
        world, part = self.world, self.world.part(f"airflow/{airflow}")
        yield world.rng.uniform(0.01, 0.1)
        mood = part.mood
        _go_wrong(mood)
        if mood == "down":
            raise Failed(Reason.TRANSIENT, "connection refused")
        if mood == "hangs":
            world.waiting.setdefault(part.name, []).append(serve)
            yield CLIENT_S
            raise Failed(Reason.TRANSIENT, "no answer")
        if mood == "slow":
            answers: list[Any] = []
            takes = world.rng.uniform(0.3, 1.0) * world.slow_s
            world.loop.call_later(takes, lambda: answers.append(serve()))
            yield takes + 0.01
            return answers[0]
        answer = serve()
        yield world.rng.uniform(0.01, 0.1)
        if mood == "cuts answers":
            raise Failed(Reason.TRANSIENT, "the answer was cut")
        return answer

    def log_in(self, airflow: str) -> Steps[None]:
        while self._logins.get(airflow, False) is None:
            yield 0.05  # another thread is at it
        found = self._logins.get(airflow, False)
        if isinstance(found, Failed):
            raise Failed(found.failure.reason, "as before", login_refused=found.failure.login_refused)
        if found:
            return
        self._logins[airflow] = None
        try:
            yield from self.request(airflow, lambda: None)
            if self.world.part(f"airflow/{airflow}").mood == REFUSED:
                if self.world.onlooker is not None:
                    self.world.onlooker.login_refused(self.worker.machine.name, airflow)
                raise Failed(Reason.DENIED, "refuses the password", login_refused=True)
        except Failed as error:
            self._logins[airflow] = error
            raise
        self._logins[airflow] = True


def _granted(world: World, mood: str) -> Token | None:
    now, life = world.aws_now, world.lives
    match mood:
        case "garbage":
            return None
        case "gives expired ones":
            return world.grant(now - life - 60, now - 60)
        case "gives far ones":
            return world.grant(now, now + 400 * 86400.0)
        case "gives older ones":
            age = world.rng.uniform(0.1, 0.9) * life
            return world.grant(now, now - age + life)
        case "gives short ones":
            return world.grant(now, now + life * world.rng.uniform(0.02, 0.2))
    return world.grant(now, math.floor(now + life))


def _go_wrong(mood: str) -> None:
    """What nobody expects of a slot."""
    if mood == "eats memory":
        raise MemoryError
    if mood == "raises":
        raise RuntimeError("a fault where there should be none")


class AirflowSlot:
    """A connection."""

    attach = None

    def __init__(self, tools: Tools, slot: Slot, registry: Registry) -> None:
        self._tools, self._slot = tools, slot
        self._airflow = slot.sink.split("/")[1]
        self._looked_at = -NEVER

    def look(self) -> Call:
        return self._tools.worker, self._look()

    def _look(self) -> Steps[Holding]:
        yield from self._tools.log_in(self._airflow)
        world = self._tools.world
        self._looked_at = world.now
        entry: Entry = yield from self._tools.request(self._airflow, lambda: world.entry(self._slot))
        self._note(entry)
        return Holding(entry.until) if entry.exists else NOTHING

    def deliver(self, credential: Credential, wanted: Callable[[Holding], bool]) -> Call:
        return self._tools.worker, self._deliver(credential, wanted)

    def _deliver(self, credential: Credential, wanted: Callable[[Holding], bool]) -> Steps[tuple[Outcome, None]]:
        world = self._tools.world
        if world.now - self._looked_at > LOOK_HOLDS_S and not wanted((yield from self._look())):
            return Outcome.SKIPPED, None
        token = world.tokens[int(credential.secret.reveal())]
        entry = Entry(token, credential.expires_at, exists=True)
        by = self._tools.worker.machine.name
        if world.part(f"airflow/{self._airflow}").mood == "lets nobody write":
            yield 0.05
            raise Failed(Reason.DENIED, "Forbidden")
        yield from self._tools.request(self._airflow, lambda: world.put_connection(self._slot.id, entry, by))
        self._note(entry)
        return Outcome.WRITTEN, None

    def _note(self, entry: Entry) -> None:
        self._tools.worker.seen[self._slot.id] = (entry, 0)


class FileSlot:
    """An entry of a `config.json`."""

    attach = None

    def __init__(self, tools: Tools, slot: Slot, registry: Registry) -> None:
        self._tools, self._slot, self._host = tools, slot, registry.host
        self._versions = tools.file_versions.setdefault(slot.target, {})

    def look(self) -> Call:
        return self._tools.worker, self._look()

    def _look(self) -> Steps[Holding]:
        yield 0.002
        world = self._tools.world
        entry, version = world.entry(self._slot), world.files[self._slot.target].version
        mood = world.part(f"file/{self._slot.target}").mood
        _go_wrong(mood if world.rng.random() < 0.5 else OK)  # else when it is written
        self._versions[self._host] = version
        if mood == LIES:
            until = world.aws_now + world.rng.choice([-1e9, 1.0, 40.0, world.lives, 7e4, 1e6, 3e9])
            self._tools.worker.seen[self._slot.id] = (Entry(entry.token, until, exists=True), version)
            return Holding(until, True, world.rng.choice([1e-3, 60.0, 1e6, 1e12]), str(version))
        self._tools.worker.seen[self._slot.id] = (entry, version)
        if entry.until is None or entry.token is None:
            return Holding(witness=str(version))
        return Holding(entry.until, True, entry.token.life, str(version))

    def deliver(self, credential: Credential, wanted: Callable[[Holding], bool]) -> Call:
        return self._tools.worker, self._deliver(credential)

    def _deliver(self, credential: Credential) -> Steps[tuple[Outcome, str | None]]:
        world, path = self._tools.world, self._slot.target
        token = world.tokens[int(credential.secret.reveal())]
        yield 0.003
        file, mood = world.files[path], world.part(f"file/{path}").mood
        _go_wrong(mood)
        if mood == "full":
            raise Failed(Reason.TRANSIENT, "no space left on device")
        present = file.entries.get(self._host)
        if present is token:
            return Outcome.UNCHANGED, str(file.version)
        known = present is not None and present in file.memory.get(self._host, ())
        file.memory[self._host] = (token, present) if known and present is not None else (token,)
        yield 0.003  # between the two a kill may come
        base = file.version
        world.put_file(self._slot.id, token, self._tools.worker.machine.name)
        followed = all(version == base for version in self._versions.values())
        for host in self._versions if followed else (self._host,):
            self._versions[host] = file.version
        self._tools.worker.seen[self._slot.id] = (world.entry(self._slot), file.version)
        yield 0.003
        return Outcome.WRITTEN, str(file.version) if followed else None
