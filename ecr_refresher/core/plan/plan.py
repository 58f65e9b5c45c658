"""The whole plan, and its slots."""

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from msgspec import Struct, field

from ..model import Record
from .airflow import Airflow
from .engine import IN_CLUSTER, Cleanup, DockerConfig, KubernetesSecret
from .registries import Registry

SinkKind = Literal["airflow", "docker", "kubernetes"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "console"]


class Refresh(Record, frozen=True):
    """When to renew and retry. Durations are in seconds, fractions are of a token's life."""

    at_fraction: float = 0.667
    jitter: float = 0.1
    max_age: float | None = None
    verify_every: float = 3600.0
    deadline: float = 60.0
    retry_first: float = 5.0
    retry_max: float = 300.0
    prove: bool = True


class Server(Record, frozen=True):
    """Where the daemon answers probes and scrapes. An empty host means every interface, IPv6 and IPv4."""

    host: str = "127.0.0.1"
    port: int = 9719
    tls_cert: str | None = None
    tls_key: str | None = None


class Log(Record, frozen=True):
    """The lowest level that is logged, and the format: `json`, or `console` for people."""

    level: LogLevel = "info"
    format: LogFormat = "json"


class Slot(Struct, frozen=True):
    """One (sink, registry): the unit of everything."""

    sink: str
    kind: SinkKind
    group: str  # the server or file that slots share: one Airflow, one config.json, one API server
    target: str  # what people know it by: the Airflow's URL, the file's path, the API server
    registry: str
    principal: str  # the key of the principal whose token belongs here
    required: bool

    @property
    def id(self) -> tuple[str, str]:
        return self.sink, self.registry


class Plan(Record, frozen=True, dict=True):
    """Everything that the daemon does."""

    registries: tuple[Registry, ...]
    airflows: tuple[Airflow, ...] = ()
    dockers: tuple[DockerConfig, ...] = ()
    refresh: Refresh = field(default_factory=Refresh)
    server: Server = field(default_factory=Server)
    log: Log = field(default_factory=Log)
    settings_file: str | None = None
    cleanup: Cleanup = field(default_factory=Cleanup)
    kubernetes: tuple[KubernetesSecret, ...] = ()

    def registry(self, name: str) -> Registry:
        return next(registry for registry in self.registries if registry.name == name)

    @property
    def unresolved(self) -> bool:
        """True while the caller's own registry is wanted and its host is not known."""
        return any(not registry.host for registry in self.registries)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Every slot. Files come first: they need no network, and serve the host itself."""
        by_name = {registry.name: registry for registry in self.registries}

        def slot(sink: str, kind: SinkKind, group: str, target: str, name: str, required: bool) -> Slot:
            registry = by_name[name]
            return Slot(sink, kind, group, target, name, registry.principal.key, required and registry.required)

        files = [
            slot(docker.sink, "docker", docker.sink, docker.config_file, name, docker.required)
            for docker in self.dockers
            for name in docker.registries
        ]
        connections = [
            slot(airflow.sink(one), "airflow", airflow.group, airflow.target, one.registry, one.required)
            for airflow in self.airflows
            for one in airflow.connections
        ]
        secrets = [
            slot(one.sink(namespace), "kubernetes", one.group, one.kubeconfig or IN_CLUSTER, name, one.required)
            for one in self.kubernetes
            for namespace in one.places
            for name in one.registries
        ]
        return (*files, *connections, *secrets)

    def valid_hosts(self, held_until: Mapping[tuple[str, str], float | None], now: float) -> tuple[str, ...]:
        """The hosts whose images can be pulled again, by what the slots hold.

        At least one slot of the registry, and each required one, holds an unexpired credential.
        """
        found = []
        for registry in self.registries:
            slots = [slot for slot in self.slots if slot.registry in (registry.name, registry.alias_of)]
            holds = {slot.id: (held_until.get(slot.id) or 0.0) > now for slot in slots}
            if registry.host and any(holds.values()) and all(holds[slot.id] for slot in slots if slot.required):
                found.append(registry.host)
        return tuple(found)

    @cached_property
    def by_id(self) -> dict[tuple[str, str], Slot]:
        return {slot.id: slot for slot in self.slots}

    @cached_property
    def by_registry(self) -> dict[str, list[Slot]]:
        """The slots of each registry, by its name."""
        found: dict[str, list[Slot]] = {registry.name: [] for registry in self.registries}
        for slot in self.slots:
            found[slot.registry].append(slot)
        return found

    @cached_property
    def by_principal(self) -> dict[str, list[Slot]]:
        """The slots of each principal, by its key."""
        found: dict[str, list[Slot]] = {}
        for slot in self.slots:
            found.setdefault(slot.principal, []).append(slot)
        return found
