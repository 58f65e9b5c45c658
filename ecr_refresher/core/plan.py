"""The resolved plan: the settings after reading, defaults and checks. It holds references to secrets, never one."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cached_property
from typing import Literal

from msgspec import Struct, field

from .cleanup_rules import ContainerRules, ImageRules

PRIVATE, PUBLIC = "ecr", "ecr-public"
SinkKind = Literal["airflow", "docker"]
OWN = "default"  # the name of the caller's own registry, until its host is known


class SecretRef(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a secret is to be read afresh at each pass: a file's path or an environment variable's name."""

    kind: Literal["file", "env"]
    where: str


class Role(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One role to take on; the external id and the session's name go along."""

    arn: str
    external_id: str | None = None
    session_name: str | None = None


class Principal(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whose rights a token carries, and where it is asked for: one fetch serves all its registries.

    Equal principals share their tokens, so whatever makes a difference to AWS or to the way there is a field.
    `use_fips` and `use_dualstack` of None leave it to botocore's own variables and profiles.
    """

    service: Literal["ecr", "ecr-public"]
    region: str
    roles: tuple[Role, ...] = ()  # a chain: each is taken on with the keys of the one before
    profile: str | None = None
    endpoint_url: str | None = None
    use_fips: bool | None = None
    use_dualstack: bool | None = None
    ca_file: str | None = None

    @property
    def key(self) -> str:
        """A name for it that is stable across passes, fit for logs, and another for every other principal."""
        roles = "".join(f"/{role.arn}" for role in self.roles)
        return f"{self.service}/{self.region}{roles}" + "".join(f" {more}" for more in self._particulars())

    def _particulars(self) -> Iterator[str]:
        for number, role in enumerate(self.roles, 1):
            if role.external_id is not None:  # told apart, not told: vendors hand them out in confidence
                yield f"external_id_{number}=#{zlib.crc32(role.external_id.encode()):08x}"
            if role.session_name is not None:
                yield f"session_{number}={role.session_name}"
        for name in ("profile", "endpoint_url", "use_fips", "use_dualstack", "ca_file"):
            if (value := getattr(self, name)) is not None:
                yield f"{name}={value}"


class Registry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One ECR registry. `host` is empty while the caller's own registry has not been found out."""

    name: str
    host: str
    principal: Principal
    required: bool = True
    probe_image: str | None = None
    registry_url: str | None = None
    ca_file: str | None = None
    aliases: bool = False  # files get the login under the registry's other names, too
    alias_of: str | None = None  # the name of the registry that this is only another name of


class Connection(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One Airflow connection that must hold the login of one registry."""

    id: str
    registry: str
    create: bool = True
    team_name: str | None = None
    required: bool = True


class Header(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A header that a proxy before Airflow wants with each request."""

    name: str
    value: SecretRef


class Mwaa(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Amazon's managed Airflow: an environment instead of a URL, AWS's rights instead of a login."""

    environment: str
    region: str
    role_arn: str | None = None


class SecretsFile(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file that Airflow's LocalFilesystemBackend reads connections from."""

    path: str
    mode: int = 0o600


class SecretsManager(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """AWS Secrets Manager, as the amazon provider's backend reads connections: secrets `PREFIX/<connection id>`."""

    prefix: str
    region: str
    role_arn: str | None = None


class Airflow(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One Airflow and the connections there: by its API at `url`, or by one of the other ways in."""

    name: str
    url: str
    connections: tuple[Connection, ...]
    username: str | None = None
    password: SecretRef | None = None
    token: SecretRef | None = None
    ca_file: str | None = None
    headers: tuple[Header, ...] = ()
    mwaa: Mwaa | None = None
    secrets_file: SecretsFile | None = None
    secrets_manager: SecretsManager | None = None

    @property
    def group(self) -> str:
        return f"airflow/{self.name}"

    def sink(self, connection: Connection) -> str:
        return f"{self.group}/{connection.id}"

    @property
    def target(self) -> str:
        """Where the connections are, as people know it."""
        if self.mwaa is not None:
            return f"mwaa:{self.mwaa.region}/{self.mwaa.environment}"
        if self.secrets_file is not None:
            return self.secrets_file.path
        if self.secrets_manager is not None:
            return f"secretsmanager:{self.secrets_manager.region}/{self.secrets_manager.prefix}"
        return self.url

    @property
    def secret_paths(self) -> frozenset[str]:
        """The files that its login and headers are read from."""
        refs = (self.password, self.token, *(header.value for header in self.headers))
        return frozenset(ref.where for ref in refs if ref is not None and ref.kind == "file")


class Engine(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A Docker engine that proves logins."""

    url: str
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None


class Cleanup(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which engine is kept free of old containers and images, by which rules, and how often."""

    enabled: bool = False  # in the daemon; by hand it can always be done
    engine: Engine = field(default_factory=lambda: Engine("unix:///var/run/docker.sock"))
    every: float = 60.0
    dry_run: bool = False
    state_file: str = ""
    data_root: str | None = None  # where the engine's data are seen from here, if not where it says
    containers: ContainerRules = field(default_factory=ContainerRules)
    images: ImageRules = field(default_factory=ImageRules)
    build_cache_max: int | None = None  # bytes; None leaves it alone


class DockerConfig(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One `config.json`, the registries that belong into it, and how it must be owned."""

    config_file: str
    registries: tuple[str, ...]
    mode: int = 0o600
    uid: int | None = None
    gid: int | None = None
    engine: Engine | None = None
    required: bool = True
    engine_required: bool = False  # nothing is written while the engine's socket is not there

    @property
    def sink(self) -> str:
        return f"docker/{self.config_file}"


class Refresh(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When to renew and retry; durations in seconds, fractions of a token's life."""

    at_fraction: float = 0.667
    jitter: float = 0.1
    max_age: float | None = None
    verify_every: float = 3600.0
    deadline: float = 60.0
    retry_first: float = 5.0
    retry_max: float = 300.0
    prove: bool = True


class Server(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where probes and scrapes are answered."""

    host: str = "127.0.0.1"
    port: int = 9719
    tls_cert: str | None = None
    tls_key: str | None = None


class Log(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is logged, and for whom."""

    level: str = "info"
    format: str = "json"


class Slot(Struct, frozen=True):
    """One (sink, registry): the unit of everything."""

    sink: str
    kind: SinkKind
    group: str  # whose slots share a login and a server: one Airflow, one file
    target: str  # what people know it by: where the Airflow is, or the file's path
    registry: str
    principal: str  # the key of whose token belongs here
    required: bool

    @property
    def id(self) -> tuple[str, str]:
        return self.sink, self.registry


class Plan(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, dict=True):
    """All that the daemon has to do."""

    registries: tuple[Registry, ...]
    airflows: tuple[Airflow, ...] = ()
    dockers: tuple[DockerConfig, ...] = ()
    refresh: Refresh = field(default_factory=Refresh)
    server: Server = field(default_factory=Server)
    log: Log = field(default_factory=Log)
    settings_file: str | None = None
    cleanup: Cleanup = field(default_factory=Cleanup)

    def registry(self, name: str) -> Registry:
        return next(registry for registry in self.registries if registry.name == name)

    @property
    def unresolved(self) -> bool:
        """True while the caller's own registry is wanted, and its host has not been found out."""
        return any(not registry.host for registry in self.registries)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Every slot, files first: they need no network and serve the host itself."""
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
        return (*files, *connections)
