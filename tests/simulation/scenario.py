"""From a seed: the plan, the life of tokens, and a script of faults and foreign hands; and the run of all that."""

from __future__ import annotations

import random
import warnings
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from ecr_refresher.core.plan import Airflow, Connection, DockerConfig, Plan, Principal, Refresh, Registry, SecretRef
from ecr_refresher.job.refresh import last_words

from .host import Host
from .watch import Watch
from .worker import task_factory
from .world import DEADLY, EMPTY, LIES, OK, REFUSED, SORE_S, Entry, File, SlotId, World

DAY = 86400.0
REGIONS = ("us-east-1", "eu-west-1")
MOODS = {
    "ecr": (
        "down",
        "hangs",
        "slow",
        "throttled",
        "denied",
        "garbage",
        "gives expired ones",
        "gives far ones",
        "gives older ones",
        "gives short ones",
    ),
    "registry": ("proxy 403", "unreachable", "refuses", "refuses once"),
    "airflow": ("down", "hangs", "slow", REFUSED, "lets nobody write", "cuts answers", "eats memory", "raises"),
    "file": ("full", "eats memory", "raises", LIES),
    "settings": ("broken",),
}
ON_HOST = ("restart", "crash", "kill", "kill", "stop", "garbage", "suspend", "clock", "refresh", "reload")
ON_CONNECTION = ("delete", "foreign password", "foreign marker", "far marker", "past marker", "old one", "late writer")
ON_FILE = ("log out", "delete", "foreign login", "old file", "old folder", "fight")


class Broken(AssertionError):
    """A rule was broken; says which, and how to see it again."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large a world is."""

    long: bool = False
    days: float = 36.5


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to."""

    seconds: float
    fetches: int
    writes: int


class Silence:
    """Stands in for the pass's log."""

    def get(self) -> Silence:
        return self

    def redact(self, text: str) -> str:
        return text

    def info(self, *_: object, **__: object) -> None:
        pass

    error = warning = info


class Scenario:
    """One world and its script."""

    def __init__(self, seed: int, size: Size = Size()) -> None:
        self.seed, self.size = seed, size
        self.rng = random.Random(f"script {seed}")
        self.life = 43200.0 if size.long else self.rng.choice([120.0, 120.0, 600.0, 600.0, 600.0, 3600.0, 43200.0])
        self.walks = not size.long and self.life <= 600
        self.rules = self._rules()
        self.world = World(seed, self.life)
        self.watch = Watch(self.world, self.rules)
        self.world.onlooker = self.watch
        self.hosts = self._hosts()
        span = size.days * DAY if size.long else self.life * self.rng.uniform(1.2, 3.0)
        self.last = 0.0
        self.script(span)
        self.end = max(span, self.last) + 300 + 330 + 90

    def _rules(self) -> Refresh:
        rng = self.rng
        verify_every = (
            rng.choice([12 * 3600.0] * 29 + [3600.0]) if self.size.long else min(3600.0, max(60, self.life / 3))
        )
        fraction, jitter = rng.choice([(0.667, 0.1), (0.667, 0.1), (0.5, 0.1), (0.75, 0.05), (0.667, 0.0)])
        return Refresh(
            at_fraction=fraction,
            jitter=jitter,
            max_age=self.life * 0.4 if rng.random() < 0.05 else None,
            verify_every=verify_every,
            retry_first=rng.choice([1.0, 5.0, 5.0, 10.0]),
            retry_max=300.0 if self.size.long else rng.choice([30.0, 300.0, 300.0]),
        )

    def _hosts(self) -> list[Host]:
        rng = self.rng
        two = rng.random() < (0.05 if self.size.long else 0.25)
        principals = [Principal("ecr", region) for region in REGIONS[: 1 + (rng.random() < 0.3)]]
        registries = tuple(
            Registry(f"r{index}", f"{index:012d}.dkr.ecr.{principal.region}.amazonaws.com", principal)
            for index, principal in enumerate(
                [*principals, principals[0]][: rng.choice([1] * 19 + [2] if self.size.long else [1, 1, 1, 1, 2, 3])]
            )
        )
        counts = [1, 1, 1, 2] if two else [0, 1, 1, 1, 2]
        if self.size.long and not two:
            counts = [0] + [1] * 8 + [2]
        airflows = tuple(
            Airflow(
                f"a{number}",
                f"https://a{number}",
                tuple(Connection(f"c{index}", registry.name) for index, registry in enumerate(registries)),
                "user",
                SecretRef("file", f"/secrets/a{number}"),
            )
            for number in range(rng.choice(counts))
        )
        if self.size.long and not two and rng.random() < 0.5:
            airflows = ()
        hosts = []
        for name in [f"host/h{number}" for number in range(1 + two)]:
            files = rng.choice([0] * 5 + [1] if self.size.long else [0, 1]) if airflows else 1
            names = tuple(registry.name for registry in registries)
            dockers = tuple(
                # Of another user, who may write into the record beside it: some of these files lie.
                DockerConfig(f"/{name}/config{n}.json", names, uid=1000, required=rng.random() < 0.8)
                for n in range(files)
            )
            plan = Plan(registries, airflows, dockers, self.rules)
            self.world.enter(plan)
            host = Host(self.world, name, plan, rng.randrange(2**40), self.watch, walks=self.walks)
            self.watch.enter(host, plan)
            hosts.append(host)
        return hosts

    # --- the script --------------------------------------------------------------------------------------------------
    def script(self, span: float) -> None:
        rng, loop = self.rng, self.world.loop
        for host in self.hosts:
            loop.call_at(rng.uniform(0.0, 30.0), host.start)
            if rng.random() < 0.1:
                host._wall_error = rng.choice([-1, 1]) * 10 ** rng.uniform(0, 5)
        faults = rng.randrange(1, 9) if not self.size.long else rng.randrange(3, 16)
        for _ in range(faults):
            at = rng.uniform(0.0, span)
            roll = rng.random()
            if roll < 0.55:
                self._fault(at, span)
            elif roll < 0.8:
                self._on_host(at)
            else:
                self._by_foreign_hand(at)

    def _until(self, moment: float) -> None:
        self.last = max(self.last, moment)

    def _fault(self, at: float, span: float) -> None:
        rng, world = self.rng, self.world
        names = [name for name in world.parts if name.split("/", 1)[0] in MOODS]
        names += [f"settings/{host.name}" for host in self.hosts if rng.random() < 0.2]
        name = rng.choice(names)
        mood = rng.choice(MOODS[name.split("/", 1)[0]])
        lasts = min(span, 10 ** rng.uniform(0.5, rng.choice([3.8] * 19 + [4.9]) if self.life > 3600 else 2.9))
        sore = SORE_S if mood == REFUSED else 0.0
        world.loop.call_at(at, world.begin, name, mood)
        world.loop.call_at(at + lasts, world.end, name, mood, sore)
        if mood == REFUSED and rng.random() < 0.5:
            path = f"/secrets/{name.split('/')[1]}"
            world.loop.call_at(at + lasts, self._rotate, path)
        if mood == LIES:
            for host in self.hosts:
                world.loop.call_at(at + lasts, host.poke)
        self._until(at + lasts + sore)
        if mood in ("gives short ones", "gives older ones"):
            self._until(at + lasts + self.life * 0.25)

    def _rotate(self, path: str) -> None:
        self.world.secrets[path] += 1
        for host in self.hosts:
            host.asks.append(self.world.now)
            host.poke()

    def _on_host(self, at: float) -> None:
        rng, loop, host = self.rng, self.world.loop, self.rng.choice(self.hosts)
        what = rng.choice(ON_HOST)
        lasts = 10 ** rng.uniform(0.0, 4.5 if self.life > 3600 else 2.5)
        match what:
            case "restart" | "crash":
                loop.call_at(at, lambda: host.restart(lasts, orphaned=what == "crash"))
                self._until(at + lasts)
            case "kill" | "stop" | "garbage":
                loop.call_at(at, host.ambush, rng.uniform(0.0, 2.0), what, at + self.life / 2)
                self._until(at + self.life / 2 + 120)
            case "suspend":
                loop.call_at(at, host.suspend, lasts)
                self._until(at + lasts + 60)
            case "clock":
                loop.call_at(at, host.step_clock, rng.choice([0.0, rng.choice([-1, 1]) * 10 ** rng.uniform(0, 8)]))
            case _:
                loop.call_at(at, host.ask, what)
                self._until(at + 60)

    def _by_foreign_hand(self, at: float) -> None:
        rng, world = self.rng, self.world
        slot_id = rng.choice(list(self.watch.slots))
        self._until(at + self.watch.slots[slot_id].drift_s)
        if slot_id[0].startswith("airflow/"):
            world.loop.call_at(at, self._touch_connection, slot_id, rng.choice(ON_CONNECTION), rng.random())
        else:
            world.loop.call_at(at, self._touch_file, slot_id, rng.choice(ON_FILE), rng.uniform(0.0, self.life))

    def _touch_connection(self, slot_id: SlotId, what: str, roll: float) -> None:
        world, entry = self.world, self.world.entry(slot_id)
        world.say(f"{slot_id[0]}: {what}")
        if what == "late writer":
            world.late.add(slot_id)
            return
        now = world.aws_now
        issued_at = now - roll * self.life
        old = world.grant(issued_at, issued_at + self.life)
        changed = {
            "delete": EMPTY,
            "foreign password": Entry(None, None, exists=True),
            "foreign marker": Entry(entry.token, None, exists=True),
            "far marker": Entry(entry.token, now + 10 ** (5.5 + 4 * roll), exists=True),
            "past marker": Entry(entry.token, now - roll * 1e5, exists=True),
            "old one": Entry(old, old.expires_at, exists=True),
        }
        world.put_connection(slot_id, changed[what], "a foreign hand")

    def _touch_file(self, slot_id: SlotId, what: str, after: float) -> None:
        world, path, host = self.world, slot_id[0].removeprefix("docker/"), self.world.hosts_of[slot_id[1]]
        if what in ("old file", "old folder") and after > 0:
            backup = world.copy_of(path)
            world.loop.call_later(after, self._restore, slot_id, backup, what == "old folder")
            self._until(world.now + after + 200)
            self.end = max(self.end, self.last + 720)
            return

        if what == "fight" and after > 0:  # another program will have its own way, again and again
            for number in range(6):
                world.loop.call_later(12.0 * number, self._touch_file, slot_id, "log out", 0.0)
                for host_ in self.hosts:
                    world.loop.call_later(12.0 * number + 3.0, host_.wake)
            self._until(world.now + 72 + 200)
            self.end = max(self.end, self.last + 720)
            return

        def change(file: File) -> None:
            if what == "delete":
                file.entries.clear()
            elif what == "foreign login":
                file.entries[host] = None
            else:
                file.entries.pop(host, None)

        self._rewrite(slot_id, change)

    def _restore(self, slot_id: SlotId, backup: File, memory: bool) -> None:
        def change(file: File) -> None:
            file.entries = dict(backup.entries)
            if memory:
                file.memory = dict(backup.memory)

        self._rewrite(slot_id, change)

    def _rewrite(self, slot_id: SlotId, change: Any) -> None:
        sink = slot_id[0]
        slots = [other for other in self.watch.slots if other[0] == sink]
        self.world.rewrite_file(sink.removeprefix("docker/"), change, "a foreign hand", slots)
        for host in self.hosts:
            host.poke()

    # --- the run -----------------------------------------------------------------------------------------------------
    def run(self) -> Summary:
        """Let it happen. Raises Broken at the first thing that breaks a rule."""
        loop, world = self.world.loop, self.world
        loop.set_task_factory(task_factory)
        loop.set_exception_handler(self._fault_of_ours)
        loop.call_soon(self._ask_for_pages)
        self._schedule_end()
        with (
            mock.patch.object(last_words, "logs", Silence()),
            warnings.catch_warnings(),
        ):
            loop.run_forever()
            for host in self.hosts:
                if host.worker is not None:
                    host.worker.die()
            loop.call_later(0.0, loop.stop)
            loop.run_forever()
        loop.close()
        if self.watch.broken:
            raise Broken(self._account())
        return Summary(world.now, self.watch.fetches, self.watch.writes)

    def _schedule_end(self) -> None:
        self.world.loop.call_at(self.end, self._finish)

    def _finish(self) -> None:
        if self.world.now < self.end - 1:  # a script has grown meanwhile
            self._schedule_end()
            return
        if any(part.mood != OK for part in self.world.parts.values()):
            self.watch.fail(f"the script is not over: {[p for p in self.world.parts.values() if p.mood != OK]}")
        busy = any(host.worker is not None for host in self.hosts)
        if busy and self.world.now < self.end + 120:
            self.world.loop.call_later(1.0, self._finish)
            return
        self.watch.all_is_well()
        self.world.loop.stop()

    def _ask_for_pages(self) -> None:
        for host in self.hosts:
            self.watch.look_at_pages(host)
        pause = self.rng.expovariate(1 / (self.life / 3 if not self.size.long else DAY))
        self.world.loop.call_later(pause, self._ask_for_pages)

    def _fault_of_ours(self, _loop: object, context: dict[str, Any]) -> None:
        self.watch.fail(f"the simulation itself: {context.get('message')}: {context.get('exception')!r}")

    def _account(self) -> str:
        lines = [f"{at:12.2f}  {what}" for at, what in self.world.trace]
        plan = f"tokens live {self.life:.0f} s, {self.rules}"
        again = f"Scenario({self.seed}, {self.size}).run()"
        return "\n".join([self.watch.broken or "", "", *lines, "", plan, f"to see it again: {again}"])


class WrongPassword(Scenario):
    """Some hours in which every Airflow refuses the password; nothing else goes wrong."""

    def script(self, span: float) -> None:
        for host in self.hosts:
            self.world.loop.call_at(1.0, host.start)
        for airflow in self.hosts[0].plan.airflows:
            self.world.loop.call_at(3000.0, self.world.begin, f"airflow/{airflow.name}", REFUSED)
            self.world.loop.call_at(span - 600.0, self.world.end, f"airflow/{airflow.name}", REFUSED, SORE_S)


class DeadlySettings(Scenario):
    """A day and a half in which every worker that reads the settings dies; nothing else goes wrong."""

    def script(self, span: float) -> None:
        for host in self.hosts:
            settings = f"settings/{host.name}"
            self.world.loop.call_at(1.0, host.start)
            self.world.loop.call_at(3000.0, self.world.begin, settings, DEADLY)
            self.world.loop.call_at(3001.0, host.ask, "reload")
            self.world.loop.call_at(span - 600.0, self.world.end, settings, DEADLY)


def small(seed: int) -> Scenario:
    return Scenario(seed)


def wrong_password(seed: int) -> Scenario:
    return WrongPassword(seed, Size(long=True, days=0.5))


def deadly_settings(seed: int) -> Scenario:
    return DeadlySettings(seed, Size(long=True, days=1.5))


def long(seed: int, days: float) -> Scenario:
    return Scenario(seed, replace(Size(long=True), days=days))
