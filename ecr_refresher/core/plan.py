"""The plan: the settings after reading, checks and defaults. It holds references to secrets, never a secret."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cached_property
from typing import Literal

from msgspec import Struct, field

from .cleanup_rules import ContainerRules, ImageRules
from .ecr import host as ecr_host
from .ecr.host import EcrHost

PRIVATE, PUBLIC = "ecr", "ecr-public"
SinkKind = Literal["airflow", "docker", "kubernetes"]
TEAM_SEP = "--"  # between team and connection id, in the names that Airflow's secrets backends look for
IN_CLUSTER = "in-cluster"
OWN = "default"  # the name of the caller's own registry while its host is not known


class SecretRef(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where each pass reads a secret: a file's path, or the name of an environment variable."""

    kind: Literal["file", "env"]
    where: str


class Role(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One role to assume, with its external id and session name."""

    arn: str
    external_id: str | None = None
    session_name: str | None = None


class Principal(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whose rights a token carries, and where it is fetched. One fetch serves all its registries.

    Equal principals share their tokens, so everything that makes a difference to AWS, or on the way there, is a field.
    None for `use_fips` and `use_dualstack` leaves them to botocore's variables and profiles.
    """

    service: Literal["ecr", "ecr-public"]
    region: str
    roles: tuple[Role, ...] = ()  # a chain: each is assumed with the keys of the one before
    profile: str | None = None
    endpoint_url: str | None = None
    use_fips: bool | None = None
    use_dualstack: bool | None = None
    ca_file: str | None = None

    @property
    def key(self) -> str:
        """Its name in logs: stable across passes, and different for every principal."""
        roles = "".join(f"/{role.arn}" for role in self.roles)
        return f"{self.service}/{self.region}{roles}" + "".join(f" {more}" for more in self._particulars())

    def _particulars(self) -> Iterator[str]:
        for number, role in enumerate(self.roles, 1):
            if role.external_id is not None:  # hashed: vendors hand them out in confidence
                yield f"external_id_{number}=#{zlib.crc32(role.external_id.encode()):08x}"
            if role.session_name is not None:
                yield f"session_{number}={role.session_name}"
        for name in ("profile", "endpoint_url", "use_fips", "use_dualstack", "ca_file"):
            if (value := getattr(self, name)) is not None:
                yield f"{name}={value}"


class Registry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One ECR registry. `host` is empty while the caller's own registry is not known.

    `account` is set for a custom domain in front of ECR, whose host does not say the account and the region.
    """

    name: str
    host: str
    principal: Principal
    required: bool = True
    probe_image: str | None = None
    registry_url: str | None = None
    ca_file: str | None = None
    aliases: bool = False  # files also get the login under the registry's other names
    alias_of: str | None = None  # the name of the registry that this is an alias of
    account: str | None = None

    @property
    def ecr(self) -> EcrHost:
        """The registry behind the host: its account, region and partition. Raises ValueError without a host."""
        if self.account is None:
            return ecr_host.parse(self.host)
        return ecr_host.of_account(self.account, self.principal.region)


class Connection(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One Airflow connection that must hold the login of one registry."""

    id: str
    registry: str
    create: bool = True
    team_name: str | None = None
    required: bool = True


class Header(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A header that a proxy before Airflow requires."""

    name: str
    value: SecretRef


class Mwaa(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Amazon's managed Airflow: an environment in place of a URL, AWS credentials in place of a login."""

    environment: str
    region: str
    role_arn: str | None = None


class SecretsFile(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The file that Airflow's LocalFilesystemBackend reads."""

    path: str
    mode: int | None = None  # None: an existing file keeps its own, a new one gets 0600


class SecretsManager(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """AWS Secrets Manager, as the amazon provider's backend reads connections.

    A connection is the secret `PREFIX SEP id`; a team's is `PREFIX SEP team--id`.
    """

    prefix: str
    region: str
    role_arn: str | None = None
    sep: str = "/"

    def secret_of(self, connection: Connection) -> str:
        name = _with_team(connection)
        return f"{self.prefix}{self.sep}{name}" if self.prefix else name


class ParameterStore(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """SSM's Parameter Store, as the amazon provider's backend reads connections: `PREFIX/id`, `PREFIX/team--id`."""

    prefix: str
    region: str
    role_arn: str | None = None

    def parameter_of(self, connection: Connection) -> str:
        return f"{self.prefix}/{_with_team(connection)}"


def _with_team(connection: Connection) -> str:
    return connection.id if connection.team_name is None else f"{connection.team_name}{TEAM_SEP}{connection.id}"


class Client(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A machine's login by OAuth 2.0 client credentials.

    Without `token_url` they go to Airflow's own `/auth/token` (Keycloak auth manager).
    """

    id: str
    secret: SecretRef
    token_url: str | None = None
    scope: str | None = None
    audience: str | None = None


class Airflow(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One Airflow and its connections, through its API at `url` or through one of the other ways."""

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
    parameter_store: ParameterStore | None = None
    client: Client | None = None
    client_cert: str | None = None  # for Airflow or its proxy, if it asks for a certificate; read at each pass
    client_key: str | None = None

    @property
    def group(self) -> str:
        return f"airflow/{self.name}"

    def sink(self, connection: Connection) -> str:
        return f"{self.group}/{connection.id}"

    @property
    def by_backend(self) -> bool:
        """True where a secrets backend of Airflow is written, and not its database."""
        return any((self.secrets_file, self.secrets_manager, self.parameter_store))

    @property
    def target(self) -> str:
        """Where the connections are, for people."""
        if self.mwaa is not None:
            return f"mwaa:{self.mwaa.region}/{self.mwaa.environment}"
        if self.secrets_file is not None:
            return self.secrets_file.path
        if self.secrets_manager is not None:
            return f"secretsmanager:{self.secrets_manager.region}/{self.secrets_manager.prefix}"
        if self.parameter_store is not None:
            return f"ssm:{self.parameter_store.region}{self.parameter_store.prefix}"
        return self.url

    @property
    def secret_paths(self) -> frozenset[str]:
        """The files that its login and headers are read from."""
        client = None if self.client is None else self.client.secret
        refs = (self.password, self.token, client, *(header.value for header in self.headers))
        return frozenset(ref.where for ref in refs if ref is not None and ref.kind == "file")


class Engine(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An engine, Docker's or Podman's."""

    url: str
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None


class Cleanup(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which engine to keep clean, by which rules, and how often."""

    enabled: bool = False  # in the daemon; `ecr-refresher cleanup` always works
    engine: Engine = field(default_factory=lambda: Engine("unix:///var/run/docker.sock"))
    every: float = 60.0
    dry_run: bool = False
    state_file: str = ""
    data_root: str | None = None  # where the engine's data is, as seen from here, if not where the engine says
    containers: ContainerRules = field(default_factory=ContainerRules)
    images: ImageRules = field(default_factory=ImageRules)
    build_cache_max: int | None = None  # bytes; None leaves it alone


class DockerConfig(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One `config.json`, the registries whose logins go into it, and its owner and mode."""

    config_file: str
    registries: tuple[str, ...]
    mode: int | None = None  # None: an existing file keeps its own, a new one gets 0600
    uid: int | None = None
    gid: int | None = None
    engine: Engine | None = None
    required: bool = True
    engine_required: bool = False  # write nothing while the engine's socket is missing

    @property
    def sink(self) -> str:
        return f"docker/{self.config_file}"


class KubernetesSecret(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One pull secret, the same in several namespaces: `kubernetes.io/dockerconfigjson` with a login per registry.

    With a `namespace_selector`, `namespaces` is None until a worker has asked the API server which ones match. The
    worker then reports the plan with them, and does so again at each verification.
    """

    secret: str
    registries: tuple[str, ...]
    namespaces: tuple[str, ...] | None
    namespace_selector: str | None = None
    service_accounts: tuple[str, ...] = ()  # that get the secret added to their imagePullSecrets
    kubeconfig: str | None = None  # None: the pod's own ServiceAccount, else the usual kubeconfig
    required: bool = True

    @property
    def group(self) -> str:
        """The API server that its slots share."""
        return f"kubernetes:{self.kubeconfig or IN_CLUSTER}"

    def sink(self, namespace: str) -> str:
        return f"kubernetes/{namespace}/{self.secret}"

    @property
    def places(self) -> tuple[str, ...]:
        """The namespaces; while they are not known, the selector in their place."""
        return (self.namespace_selector or "",) if self.namespaces is None else self.namespaces


class Refresh(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When to renew and retry. Durations are in seconds, fractions are of a token's life."""

    at_fraction: float = 0.667
    jitter: float = 0.1
    max_age: float | None = None
    verify_every: float = 3600.0
    deadline: float = 60.0
    retry_first: float = 5.0
    retry_max: float = 300.0
    prove: bool = True


class Server(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the daemon answers probes and scrapes. An empty host means every interface, IPv6 and IPv4."""

    host: str = "127.0.0.1"
    port: int = 9719
    tls_cert: str | None = None
    tls_key: str | None = None


class Log(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The lowest level that is logged, and the format: `json`, or `console` for people."""

    level: str = "info"
    format: str = "json"


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


class Plan(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, dict=True):
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

    @cached_property
    def by_id(self) -> dict[tuple[str, str], Slot]:
        return {slot.id: slot for slot in self.slots}

    @cached_property
    def by_principal(self) -> dict[str, list[Slot]]:
        """The slots of each principal, by its key."""
        found: dict[str, list[Slot]] = {}
        for slot in self.slots:
            found.setdefault(slot.principal, []).append(slot)
        return found
