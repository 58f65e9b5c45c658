"""A machine with our daemon on it: drives the real step from deadline to deadline, starts and kills its workers."""

from __future__ import annotations

import asyncio
from typing import Protocol

from ecr_refresher.core import wire
from ecr_refresher.core.plan import Plan
from ecr_refresher.daemon.machine import due, events, step
from ecr_refresher.daemon.machine.state import State

from .worker import Worker
from .world import EPOCH, World


class Observer(Protocol):
    """Who looks at each step."""

    def born(self, host: Host) -> None: ...
    def stepped(self, host: Host, event: events.Event, before: State, actions: list[events.Action]) -> None: ...
    def blip(self, host: Host) -> None: ...


class Host:
    """One machine. `walks` takes every turn of the loop; else those are skipped at which nothing could happen."""

    def __init__(self, world: World, name: str, plan: Plan, seed: int, observer: Observer, *, walks: bool) -> None:
        self.world, self.name, self.plan, self.observer, self.walks = world, name, plan, observer, walks
        self._drift = 1.0 + world.rng.uniform(-5e-5, 5e-5)  # of the boot clock; a bad quartz
        self._booted = world.rng.uniform(0.0, 1e6)
        self._wall_error = 0.0
        self._thaws = 0.0
        self._slept = 0.0
        self._seed = seed
        self._turn_timer: asyncio.TimerHandle | None = None
        self.asks: list[float] = []
        self.worker: Worker | None = None
        self._heard: list[wire.Line] = []
        self.ambushes: list[tuple[float, str, float]] = []  # what will befall the next workers, and how late
        self.up = False
        self.state = step.initial(0, wire.Load(), 0.0, 0.0, 0.0)
        world.part(name)

    # --- clocks ------------------------------------------------------------------------------------------------------
    def boot(self) -> float:
        return self._booted + self.world.now * self._drift

    def mono(self) -> float:
        """Stands still while the machine sleeps."""
        return self.boot() - self._slept + max(0.0, self._thaws - self.world.now) * self._drift

    def wall(self) -> float:
        return self.world.aws_now + self._wall_error

    def frozen_until(self) -> float:
        return self._thaws

    @property
    def clock_lies(self) -> bool:
        """Nobody has told the daemon AWS's time yet, and the machine's is wrong."""
        return not self.state.offset_measured and abs(self._wall_error) > 1.0

    # --- the daemon --------------------------------------------------------------------------------------------------
    def start(self) -> None:
        self._seed += 1
        self.up = True
        self.state = step.initial(self._seed, wire.Load(), self.boot(), self.wall(), self.mono())
        self.world.say(f"{self.name}: the daemon starts")
        self.observer.born(self)
        self._turn()

    def _turn(self) -> None:
        if not self.up:
            return
        if self._thaws > self.world.now:
            self._schedule(self._thaws - self.world.now + self.world.rng.uniform(0.0, 60.0))
            return
        self._apply(events.Turn(self.wall(), self.mono(), self._witnesses()))
        if self.up:
            moment = (due.next_boot if self.walks else due.deadline_boot)(self.state)
            self._schedule((moment - self.boot()) / self._drift if moment < float("inf") else None)

    def _schedule(self, pause: float | None) -> None:
        if self._turn_timer is not None:
            self._turn_timer.cancel()
        self._turn_timer = None if pause is None else self.world.loop.call_later(max(1e-3, pause), self._turn)

    def _witnesses(self) -> dict[str, str]:
        if not self.state.loaded:
            return {}
        found = {path: str(file.version) for path, file in self.world.files.items() if path.startswith(f"/{self.name}")}
        return found | {path: str(version) for path, version in self.world.secrets.items()}

    def _apply(self, event: events.Event) -> None:
        before = self.state
        self.state, actions = step.step(before, event, self.boot())
        self.observer.stepped(self, event, before, actions)
        for action in actions:
            match action:
                case events.Start(job):
                    self.worker = Worker(self.world, self, job)
                    if self.ambushes:
                        after, how, ends_at = self.ambushes.pop()
                        if self.world.now < ends_at:
                            self.world.loop.call_later(after, self.kill_worker, how)
                case events.Kill():
                    if self.worker is not None:
                        self.worker.die("killed by signal 9")
                case events.Exit():
                    self._end(orphaned=False)
                    self.world.loop.call_later(5.0, self._restart)
                case events.Say(level, what, _):
                    if level != "info":
                        self.world.say(f"{self.name}: {what}")

    def heard(self, worker: Worker, line: wire.Line) -> None:
        if worker is not self.worker or not self.up:
            return
        if self.walks:  # over the wire, too
            _, line = wire.load_line(wire.dump_line(worker.job.id, line))
        self._heard.append(line)
        if len(self._heard) == 1:  # lines that come at the same moment are booked together
            self.world.loop.call_soon(self._book, worker)

    def _book(self, worker: Worker) -> None:
        lines, self._heard = tuple(self._heard), []
        if worker is not self.worker or not self.up:
            return
        self._apply(events.Reported(worker.job.id, lines))
        if self.walks:
            self._turn()

    def gone(self, worker: Worker, how: str) -> None:
        if worker.stopped:
            self.world.end(self.name, "worker hangs")
        if worker is self.worker:
            self.worker = None
            self.world.loop.call_soon(self._exited, how)

    def _exited(self, how: str) -> None:
        if self.up:
            self._apply(events.Exited(how))
            self._turn()

    def _end(self, *, orphaned: bool) -> None:
        self.up = False
        self._schedule(None)
        worker, self.worker = self.worker, None
        if worker is not None and not orphaned:
            worker.die("killed by signal 9")

    def _restart(self) -> None:
        if not self.up:
            self.start()

    # --- what a script does to it ------------------------------------------------------------------------------------
    def restart(self, down_s: float, *, orphaned: bool) -> None:
        """The daemon is ended and comes back with no memory; `orphaned`: its worker lives on for a while."""
        if not self.up:
            return
        self.world.say(f"{self.name}: the daemon is {'killed' if orphaned else 'stopped'}")
        self.observer.blip(self)
        self.asks.append(self.world.now)
        self._end(orphaned=orphaned)
        self.world.begin(self.name, "is down")
        self.world.loop.call_later(down_s, self._back)

    def _back(self) -> None:
        self.world.end(self.name, "is down")
        self._restart()

    def ambush(self, after_s: float, how: str, ends_at: float) -> None:
        """Lie in wait for the next worker until `ends_at`, and strike so long after its start."""
        self.ambushes.append((after_s, how, ends_at))

    def kill_worker(self, how: str) -> None:
        """`stop` hangs it for good, `garbage` is what a mad one says before the supervisor ends it."""
        if self.worker is None:
            return
        self.world.say(f"{self.name}: worker: {how}")
        self.observer.blip(self)
        self.asks.append(self.world.now)
        if how == "stop":
            self.worker.stopped = True
            self.world.begin(self.name, "worker hangs")
            return
        if how == "garbage" and self.up:
            self._apply(events.Reported(self.worker.job.id + 7, (wire.Done(),)))
        self.worker.die("killed by signal 9")

    def suspend(self, lasts_s: float) -> None:
        """The machine sleeps; the waits of its loop stand still, the boot clock goes on."""
        self.world.say(f"{self.name}: suspended")
        self.world.begin(self.name, "sleeps")
        thaws = max(self._thaws, self.world.now + lasts_s)
        self._slept += (thaws - max(self._thaws, self.world.now)) * self._drift
        self._thaws = thaws
        if self.up and self.worker is None:
            self._turn()
        self.world.loop.call_later(lasts_s + 60.0, self.world.end, self.name, "sleeps")

    def step_clock(self, error_s: float) -> None:
        self.world.say(f"{self.name}: the wall clock is off by {error_s:.0f} s")
        self._wall_error = error_s
        self.poke()

    def ask(self, what: str) -> None:
        if self.up and self.frozen_until() <= self.world.now:
            self.world.say(f"{self.name}: asked to {what}")
            self.asks.append(self.world.now)
            self._apply(events.Asked("refresh" if what == "refresh" else "reload"))
            self._turn()

    def wake(self) -> None:
        """Something that is none of the step's business (a signal of a child, a watchdog) has the loop turn."""
        if self.up:
            self._turn()

    def poke(self) -> None:
        """Something has changed that the loop sees at its next turn, which may have been skipped."""
        if self.up and not self.walks:
            self.world.loop.call_later(self.world.rng.uniform(0.0, 60.0), self._turn)


def aws_time_error(host: Host) -> float:
    """How far the daemon's notion of AWS's time is off."""
    return host.state.aws_time(host.boot()) - (EPOCH + host.world.now)
