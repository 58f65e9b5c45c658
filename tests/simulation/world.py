"""All that lies outside a daemon: ECR, registries, Airflows, files, secrets, each in a mood of a script."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ecr_refresher.core.plan import Plan, Slot

from .clock import VirtualLoop

EPOCH = 1_800_000_000.0  # AWS's time when the simulation begins
OK = "ok"
REFUSED, SORE_S = "refuses the login", 340.0  # and how long a daemon may hold back after it
DEADLY = "kills whoever reads it"
LIES = "lies about its life"
HARMLESS = {
    "ecr": {OK, "slow"},
    "registry": {OK, "proxy 403", "unreachable", "refuses once"},
    "airflow": {OK, "slow"},
    "file": {OK},
    "host": {OK},
    "settings": {OK, DEADLY},  # the plan of before serves the slots
}
SlotId = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Token:
    """A token that ECR has granted, or claims to have granted."""

    number: int
    issued_at: float
    expires_at: float

    @property
    def life(self) -> float:
        return self.expires_at - self.issued_at


@dataclass(frozen=True, slots=True)
class Entry:
    """What a slot holds: a token, None for nothing or somebody else's password, and what is recorded of it.

    `until` is what the best of looks can tell: an Airflow marker, or the memory beside a file.
    """

    token: Token | None = None
    until: float | None = None
    exists: bool = False

    @property
    def honest(self) -> bool:
        return self.token is not None and self.until == self.token.expires_at


EMPTY = Entry()


@dataclass(slots=True)
class File:
    """A `config.json` and the memory beside it: of each host, the logins of which we know the expiry."""

    version: int = 0
    entries: dict[str, Token | None] = field(default_factory=dict)
    memory: dict[str, tuple[Token, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class Part:
    """Something that a script can break. Moods pile up: the last one that has begun is the one that shows."""

    name: str
    moods: list[str] = field(default_factory=list)
    sore_until: float = 0.0  # counts as out of reach until then, though it works again

    @property
    def mood(self) -> str:
        return self.moods[-1] if self.moods else OK

    @property
    def reachable(self) -> bool:
        return self.mood in HARMLESS[self.name.split("/", 1)[0]]


class Onlooker(Protocol):
    """Who is told of what happens in the world."""

    def mood_changed(self, part: Part) -> None: ...
    def slot_changed(self, slot_id: SlotId, by: str, before: Entry, after: Entry) -> None: ...
    def fetch_begun(self, worker: Any, principal: str) -> None: ...
    def login_refused(self, host: str, airflow: str) -> None: ...


class World:
    """The state of it all. `lives` says how long ECR's tokens live."""

    def __init__(self, seed: int, lives: float) -> None:
        self.rng = random.Random(seed)
        self.loop = VirtualLoop()
        self.lives = lives
        self.slow_s = min(6.0, lives / 300)  # what is bearable depends on how long a pass may take
        self.tokens: list[Token] = []
        self.parts: dict[str, Part] = {}
        self.connections: dict[str, Entry] = {}  # by sink
        self.files: dict[str, File] = {}
        self.secrets: dict[str, int] = {}  # the version of each password file
        self.hosts_of: dict[str, str] = {}  # registry name -> its host
        self.waiting: dict[str, list[Callable[[], None]]] = {}  # requests that a hanging Airflow has not yet served
        self.late: set[SlotId] = set()  # another daemon stands between its look and its write to these
        self.onlooker: Onlooker | None = None
        self.trace: deque[tuple[float, str]] = deque(maxlen=80)

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self.loop.time()

    @property
    def aws_now(self) -> float:
        return EPOCH + self.loop.time()

    def say(self, what: str) -> None:
        self.trace.append((self.loop.time(), what))

    def part(self, name: str) -> Part:
        if name not in self.parts:
            self.parts[name] = Part(name)
        return self.parts[name]

    def enter(self, plan: Plan) -> None:
        """Make the parts that a plan speaks of."""
        for registry in plan.registries:
            self.hosts_of[registry.name] = registry.host
            self.part(f"ecr/{registry.principal.key}")
            self.part(f"registry/{registry.name}")
        for airflow in plan.airflows:
            self.part(f"airflow/{airflow.name}")
            for connection in airflow.connections:
                self.connections.setdefault(airflow.sink(connection), EMPTY)
            if airflow.password:
                self.secrets.setdefault(airflow.password.where, 1)
        for docker in plan.dockers:
            self.part(f"file/{docker.config_file}")
            self.files.setdefault(docker.config_file, File())

    # --- moods -------------------------------------------------------------------------------------------------------
    def begin(self, name: str, mood: str) -> None:
        part = self.part(name)
        if part.mood == REFUSED:  # it is over, as long as another one hides it
            part.sore_until = max(part.sore_until, self.now + SORE_S)
        part.moods.append(mood)
        self.say(f"{name}: {mood}")
        self._changed(part)

    def end(self, name: str, mood: str, sore_s: float = 0.0) -> None:
        part = self.part(name)
        if mood not in part.moods:
            return
        part.moods.remove(mood)
        part.sore_until = max(part.sore_until, self.now + sore_s)
        self.say(f"{name}: {mood} is over")
        if mood == LIES:  # its owner writes the truth again
            self.files[name.removeprefix("file/")].version += 1
        if mood == "hangs":
            for serve in self.waiting.pop(name, []):
                self.loop.call_later(self.rng.uniform(0.0, 2.0), serve)
        self._changed(part)

    def _changed(self, part: Part) -> None:
        if self.onlooker is not None:
            self.onlooker.mood_changed(part)

    # --- tokens ------------------------------------------------------------------------------------------------------
    def grant(self, issued_at: float, expires_at: float) -> Token:
        token = Token(len(self.tokens), issued_at, float(int(expires_at)))
        self.tokens.append(token)
        return token

    # --- slots -------------------------------------------------------------------------------------------------------
    def entry(self, slot: Slot | SlotId) -> Entry:
        sink, registry = slot.id if isinstance(slot, Slot) else slot
        if sink.startswith("airflow/"):
            return self.connections[sink]
        host = self.hosts_of[registry]
        file = self.files[sink.removeprefix("docker/")]
        token = file.entries.get(host)
        known = token is not None and token in file.memory.get(host, ())
        return Entry(token, token.expires_at if token and known else None, host in file.entries)

    def put_connection(self, slot_id: SlotId, entry: Entry, by: str) -> None:
        before, self.connections[slot_id[0]] = self.connections[slot_id[0]], entry
        self._tell(slot_id, by, before)
        if by.startswith("host/") and slot_id in self.late and entry.token is not None:
            self.late.discard(slot_id)
            self.loop.call_later(self.rng.uniform(1.0, 50.0), self._late_write, slot_id, entry.token)

    def _late_write(self, slot_id: SlotId, newer: Token) -> None:
        """Another daemon goes on after a pause, and writes what it had fetched before."""
        issued_at = newer.issued_at - self.rng.uniform(0.05, 0.5) * self.lives
        older = self.grant(issued_at, issued_at + self.lives)
        if older.expires_at > self.aws_now:
            self.put_connection(slot_id, Entry(older, older.expires_at, exists=True), "late writer")

    def put_file(self, slot_id: SlotId, token: Token, by: str) -> None:
        file, host = self.files[slot_id[0].removeprefix("docker/")], self.hosts_of[slot_id[1]]
        before = self.entry(slot_id)
        file.entries[host] = token
        file.version += 1
        self._tell(slot_id, by, before)

    def rewrite_file(self, path: str, change: Callable[[File], None], by: str, slots: list[SlotId]) -> None:
        """Somebody changes a whole file; every slot in it may be another then."""
        before = [self.entry(slot_id) for slot_id in slots]
        change(self.files[path])
        self.files[path].version += 1
        for slot_id, entry in zip(slots, before, strict=True):
            self._tell(slot_id, by, entry)

    def copy_of(self, path: str) -> File:
        file = self.files[path]
        return replace(file, entries=dict(file.entries), memory=dict(file.memory))

    def _tell(self, slot_id: SlotId, by: str, before: Entry) -> None:
        after = self.entry(slot_id)
        number = after.token.number if after.token else None
        self.say(f"{slot_id[0]} {slot_id[1]}: token {number} recorded until {_since(after.until)}, by {by}")
        if self.onlooker is not None and after != before:
            self.onlooker.slot_changed(slot_id, by, before, after)


def _since(moment: float | None) -> str:
    return "-" if moment is None else f"{moment - EPOCH:.0f}"
