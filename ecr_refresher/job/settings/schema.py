"""The settings' schema: which keys there are, what each is for, their kinds and defaults.

Values come as texts, from YAML or environment. Nothing is required here: what is missing is told by the checks that
know why it is needed. The text below a key is its description in the JSON Schema and in docs/settings.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ...core import plan
from .reading import values
from .reading.kinds import (
    HOST_SCHEMA,
    HOSTS_SCHEMA,
    NAMES_SCHEMA,
    NULL_SCHEMA,
    TEXT_SCHEMA,
    Account,
    AirflowUrl,
    Bool,
    ConfigFile,
    EngineUrl,
    Environment,
    ExternalId,
    Host,
    Image,
    ImagePattern,
    Label,
    Listen,
    Mode,
    Name,
    NamespaceName,
    Number,
    ObjectName,
    Owner,
    Path,
    Prefix,
    Region,
    RoleArn,
    SecretPath,
    SecureUrl,
    Selector,
    Separator,
    SessionName,
    Share,
    Size,
    Text,
    Variable,
    duration,
    one_of,
)
from .reading.shorter import Keys, Or, OrOne

CONNECTION_ID = r"[\w./-]{1,200}"  # as Airflow takes it; with a slash in its secrets backends alone

_RULES, _LOG, _CLEANUP = plan.Refresh(), plan.Log(), plan.Cleanup()


class Section(BaseModel):
    """A mapping of the settings. Keys that are not known are errors; a null means 'not given'."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_not_given(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {key: value for key, value in given.items() if value is not None or key not in cls.model_fields}


class RegistryEntry(Section):
    """One registry, and whose rights open it."""

    host: Host | None = None
    """The registry as it stands in image names: private in any partition, FIPS or dual-stack, or `public.ecr.aws`.
    Default: the caller's own registry."""

    region: Region | None = None
    """Where the caller's own registry is, or the one behind a domain of your own; ECR's hosts say their region
    themselves. Default: the AWS region of the environment or profile."""

    account: Account | None = None
    """For a `host` that is a domain of your own in front of ECR: the account whose registry is behind it; `region`
    goes with it."""

    name: Name | None = None
    """What other settings, metrics and `/status` call it; lets two roles use one registry. Default: the host."""

    role_arn: Annotated[list[RoleArn], OrOne()] = Field(default_factory=list)
    """The role to take on. A list is a chain, each taken on with the keys of the one before."""

    external_id: Annotated[list[ExternalId | None], OrOne()] = Field(default_factory=list)
    """The external id that the last role asks for; or a list with one (or null) for each role."""

    role_session_name: SessionName | None = None
    """How the roles' sessions are called in CloudTrail. Default: `ecr-refresher`."""

    profile: Text | None = None
    """The AWS profile that the base credentials come from. Default: botocore's own choice."""

    endpoint_url: SecureUrl | None = None
    """Where ECR's API is asked, e.g. a VPC endpoint. Default: AWS's public endpoint of the region."""

    use_fips: Bool | None = None
    """Ask ECR and STS at their FIPS endpoints. Default: as botocore's variables and profile say."""

    use_dualstack: Bool | None = None
    """Ask ECR and STS at their dual-stack endpoints. Default: as botocore's variables and profile say."""

    probe_image: Image | None = None
    """An image without its registry. After each fetch it is tried whether a pull of it would be allowed, and the right
    that is missing is named, a pull-through cache's too. It warns and never blocks."""

    registry_url: SecureUrl | None = None
    """Where a new token is tried before it is delivered. Default: `https://HOST`."""

    ca_file: Path | None = None
    """The CA certificates (PEM) to trust for `endpoint_url` and `registry_url`; with neither, for all that concerns
    this registry. Default: the system's."""

    aliases: Bool = False
    """Files also get the login under the registry's dual-stack and FIPS names."""

    required: Bool = True
    """Counts for readiness and exit codes."""


class ConnectionEntry(Section):
    """One Airflow connection that must hold a registry's login."""

    registry: Text | None = None
    """The registry's name or host. Default: the only one there is."""

    create: Bool = True
    """Create the connection where it is missing. With false it is only ever updated."""

    team_name: Text | None = None
    """The team that a new connection belongs to, in a multi-team Airflow 3; for a secrets backend, the team that looks
    for it there. Default: every team sees it."""

    required: Bool = True
    """Counts for readiness and exit codes."""


class HeaderEntry(Section):
    """Where a header's value is read from: one of the two."""

    file: SecretPath | None = None
    """The file that holds the value; read afresh at each pass."""

    env: Variable | None = None
    """The environment variable that holds the value."""


class AirflowEntry(Section):
    """One Airflow: its API at `url`, an Amazon MWAA environment, or a secrets backend (`kind`)."""

    name: Name | None = None
    """What metrics and `/status` call it; needed with several. Default: `default`."""

    kind: Annotated[str, one_of("api", "secrets_file", "secrets_manager", "parameter_store")] = "api"
    """The way in: Airflow's REST API (at `url`, or of `mwaa_environment`), the file that its LocalFilesystemBackend
    reads, or what the amazon provider's backends read: AWS Secrets Manager or SSM's Parameter Store."""

    url: AirflowUrl | None = None
    """The base URL, as people open it in a browser, path prefix included."""

    username: Text | None = None
    """The user who edits connections; a password goes with it."""

    password_file: SecretPath | None = None
    """The file that holds the password; read afresh at each pass."""

    password_env: Variable | None = None
    """The environment variable that holds the password."""

    token_file: SecretPath | None = None
    """The file that holds a bearer token, in place of user and password; read afresh at each pass."""

    token_env: Variable | None = None
    """The environment variable that holds a bearer token."""

    client_id: Text | None = None
    """A machine's login by OAuth 2.0 client credentials, in place of user and password; a client secret goes with
    it."""

    client_secret_file: SecretPath | None = None
    """The file that holds the client secret; read afresh at each pass."""

    client_secret_env: Variable | None = None
    """The environment variable that holds the client secret."""

    token_url: SecureUrl | None = None
    """The identity provider's token endpoint, which the client credentials go to. Default: Airflow's own `/auth/token`
    (Keycloak auth manager)."""

    scope: Text | None = None
    """With `token_url`: the scope to ask for."""

    audience: Text | None = None
    """With `token_url`: the audience to ask for."""

    client_cert: Path | None = None
    """The client certificate (PEM) for Airflow, or a proxy before it, that asks for one; read afresh at each pass."""

    client_key: Path | None = None
    """That certificate's key."""

    ca_file: Path | None = None
    """The CA certificates (PEM) to trust. Default: the system's."""

    allow_http: Bool = False
    """Let passwords go over plain http to another host than this one; warns."""

    headers: dict[str, Annotated[HeaderEntry, BeforeValidator(values.no_bare_secret)]] = Field(default_factory=dict)
    """What a proxy before Airflow wants with each request: header name to `{file: PATH}` or `{env: NAME}`."""

    mwaa_environment: Environment | None = None
    """The name of an Amazon MWAA environment, in place of `url` and login."""

    region: Region | None = None
    """Where MWAA, Secrets Manager or Parameter Store is asked. Default: the AWS region of the environment."""

    role_arn: RoleArn | None = None
    """The role to assume for MWAA, Secrets Manager or Parameter Store."""

    file: Path | None = None
    """With `kind: secrets_file`: the `.json`, `.yaml`, `.yml` or `.env` file that Airflow reads."""

    mode: Mode | None = None
    """With `kind: secrets_file`: that file's mode, in octal. Default: 0600 for a new file; an existing one keeps its
    own."""

    prefix: Prefix | None = None
    """With `kind: secrets_manager` or `parameter_store`: the backend's `connections_prefix`. Default: the backend's,
    `airflow/connections` or `/airflow/connections`."""

    sep: Separator = "/"
    """With `kind: secrets_manager`: the backend's `sep`, which stands between prefix and connection id."""

    connections: Annotated[
        dict[str, Annotated[ConnectionEntry, Or(TEXT_SCHEMA), Or(NULL_SCHEMA)]],
        Keys(CONNECTION_ID),
        Or(NAMES_SCHEMA),
    ] = Field(default_factory=dict)
    """Connection id to a registry's name or host, or to a mapping. Default: `docker_default`, with one registry."""


class DockerEntry(Section):
    """One `config.json`, written as `docker login` does it."""

    config_file: ConfigFile | None = None
    """The file, Docker's `config.json` or Podman's `auth.json`; of a directory, the `config.json` inside it. Default:
    `$REGISTRY_AUTH_FILE`, else `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`."""

    mode: Mode | None = None
    """The file's mode, in octal; put right at every write. Default: 0600 for a new file; an existing one keeps its
    own."""

    owner: Owner | None = None
    """`uid:gid`, a uid or a user name; only as root. Default: as it is."""

    registries: Annotated[list[Text], Or(NAMES_SCHEMA)] | None = None
    """Names or hosts of the registries whose logins go into the file. Default: all."""

    engine: EngineUrl | None = None
    """The engine, Docker's or Podman's, that proves each new login: its address, or `true` for `$DOCKER_HOST`, else the
    current docker context, else Docker's own socket. Default: none is asked."""

    engine_required: Bool = False
    """Fetch and write nothing while the engine's socket is not there, and say so: for nodes of which not all have
    Docker."""

    tls_ca: Path | None = None
    """For an engine at `tcp://`: the CA certificates (PEM) to trust."""

    tls_cert: Path | None = None
    """For an engine at `tcp://`: the certificate (PEM) to show it."""

    tls_key: Path | None = None
    """For an engine at `tcp://`: that certificate's key."""

    required: Bool = True
    """Counts for readiness and exit codes."""


class KubernetesEntry(Section):
    """One pull secret (`kubernetes.io/dockerconfigjson`), the same in each namespace."""

    secret: ObjectName | None = None
    """The secret's name. It is created where it is missing."""

    namespaces: Annotated[list[NamespaceName], Or(NAMES_SCHEMA)] | None = None
    """The namespaces that get it. Default: the pod's own."""

    namespace_selector: Selector | None = None
    """A label selector, in place of `namespaces`: each namespace that it matches gets the secret, later ones too."""

    registries: Annotated[list[Text], Or(NAMES_SCHEMA)] | None = None
    """Names or hosts of the registries whose logins go into the secret. Default: all."""

    service_accounts: Annotated[list[ObjectName], Or(NAMES_SCHEMA)] = Field(default_factory=list)
    """ServiceAccounts of these namespaces that get the secret added to their `imagePullSecrets`."""

    kubeconfig: Path | None = None
    """How the API server is reached. Default: by the pod's own ServiceAccount, else the usual kubeconfig."""

    required: Bool = True
    """Counts for readiness and exit codes."""


class RefreshEntry(Section):
    """When to renew and to retry."""

    at_fraction: Number = _RULES.at_fraction
    """Renew at this part of a token's life; between 0 and 1."""

    jitter: Number = _RULES.jitter
    """Earlier or later by up to this part of its life; drawn for each token and daemon."""

    max_age: Annotated[float, duration(1.0)] | None = _RULES.max_age
    """Renew at this age at the latest. Default: only `at_fraction` counts."""

    verify_every: Annotated[float, duration(1.0)] = _RULES.verify_every
    """How often Airflow is asked what it holds; files are watched all the time."""

    deadline: Annotated[float, duration(5.0, 600.0)] = _RULES.deadline
    """How long one pass may take."""

    retry_first: Annotated[float, duration(0.1, 3600.0)] = _RULES.retry_first
    """The shortest pause before another try."""

    retry_max: Annotated[float, duration(0.1, 86400.0)] = _RULES.retry_max
    """The longest pause before another try."""

    prove: Bool = _RULES.prove
    """Try a new token at the registry before it is delivered."""


class CleanupContainersEntry(Section):
    """Which containers go: those that have ended, or were never started."""

    enabled: Bool = _CLEANUP.containers.enabled
    """Remove containers."""

    exited_for: Annotated[float, duration(0.0)] = _CLEANUP.containers.exited_for
    """How long ago they must have ended; those never started: have been made, and a minute ago at least."""

    of: Annotated[str, one_of("registries", "all")] = "registries"
    """Only those of images of our registries, or all."""

    keep_labels: Annotated[list[Label], Or(NAMES_SCHEMA)] = Field(default_factory=list)
    """Containers with one of these labels stay; `key`, or `key=value`."""

    only_labels: Annotated[list[Label], Or(NAMES_SCHEMA)] = Field(default_factory=list)
    """Only containers with all of these labels go."""

    orchestrated: Bool = _CLEANUP.containers.orchestrated
    """Also containers that Amazon ECS, Kubernetes or Swarm started."""

    anonymous_volumes: Bool = _CLEANUP.containers.anonymous_volumes
    """Remove the anonymous volumes of a removed container; named ones stay."""


class CleanupImagesEntry(Section):
    """Which unused images go, and when: the least recently used first, while a mark is exceeded."""

    enabled: Bool = _CLEANUP.images.enabled
    """Remove images."""

    when_disk_above: Share | None = None
    """Remove images while the disk that holds the engine's data is fuller than this. Default: `80%`, without
    `max_size`."""

    until_below: Share | None = None
    """Once begun, go on until it is less full than this. Default: 10 points below `when_disk_above`."""

    max_size: Size | None = None
    """Remove images while all of them together are bigger than this; layers that they share count once."""

    unused_for: Annotated[float, duration(0.0)] = _CLEANUP.images.unused_for
    """How long ago an image's last use must be; of those never used: how long ago it was first seen."""

    keep: Annotated[list[ImagePattern], Or(NAMES_SCHEMA)] = Field(default_factory=list)
    """Images that stay: names with `*` for anything, with or without the registry's host."""

    of: Annotated[str, one_of("registries", "all")] = "registries"
    """Only images of our registries that can be pulled again, or all: those that were built here and never pushed,
    too."""


class CleanupBuildCacheEntry(Section):
    """The cache of BuildKit."""

    max_size: Size | None = None
    """Prune the build cache to this size, what was not used for longest first. Default: it is left alone."""


class CleanupEntry(Section):
    """Old containers and images: by use, not by age. `ecr-refresher cleanup` goes by the same rules."""

    enabled: Bool = _CLEANUP.enabled
    """Have the daemon clean up. Needs the engine's socket."""

    engine: EngineUrl = _CLEANUP.engine.url
    """The engine to keep clean, Docker's or Podman's: its address, or `true` as in `docker`."""

    tls_ca: Path | None = None
    """For an engine at `tcp://`: the CA certificates (PEM) to trust."""

    tls_cert: Path | None = None
    """For an engine at `tcp://`: the certificate (PEM) to show it."""

    tls_key: Path | None = None
    """For an engine at `tcp://`: that certificate's key."""

    every: Annotated[float, duration(1.0, 86400.0)] = _CLEANUP.every
    """How often it looks whether something may go."""

    dry_run: Bool = _CLEANUP.dry_run
    """Remove nothing; log what would go."""

    state_file: Path | None = None
    """The file in which last uses are remembered. Default: `cleanup.json` in `$STATE_DIRECTORY`, else in
    `$XDG_STATE_HOME/ecr-refresher`, else in `~/.local/state/ecr-refresher`."""

    data_root: Path | None = None
    """Where the engine's data are seen from here, to measure their disk. Default: where the engine says; in a
    container of that engine: found by itself."""

    containers: CleanupContainersEntry = CleanupContainersEntry()
    """Which containers go."""

    images: CleanupImagesEntry = CleanupImagesEntry()
    """Which images go, and when."""

    build_cache: CleanupBuildCacheEntry = CleanupBuildCacheEntry()
    """The cache of BuildKit."""


class ServerEntry(Section):
    """Where probes and scrapes are answered."""

    listen: Listen = values.Address(plan.Server().host, plan.Server().port)
    """Address and port; `:9719` is every interface, IPv6 and IPv4."""

    tls_cert: Path | None = None
    """The certificate (PEM) for https. Default: plain http."""

    tls_key: Path | None = None
    """That certificate's key."""


class LogEntry(Section):
    """What is logged on standard error."""

    level: Annotated[str, one_of("debug", "info", "warning", "error")] = _LOG.level
    """The least level that is shown."""

    format: Annotated[str, one_of("json", "console")] = _LOG.format
    """One JSON object a line, or lines for people."""


class Settings(Section):
    """The settings of ecr-refresher."""

    registries: Annotated[
        list[Annotated[RegistryEntry, Or(HOST_SCHEMA)]],
        OrOne(),
        Or(HOSTS_SCHEMA),
    ] = Field(default_factory=list)
    """The ECR registries: hosts, or mappings. Default: the caller's own registry in the AWS region."""

    airflow: Annotated[list[AirflowEntry], OrOne()] = Field(default_factory=list)
    """The Airflows whose connections are kept: one mapping, or a list. Default: none."""

    docker: Annotated[list[DockerEntry], OrOne()] = Field(default_factory=list)
    """The `config.json` files that are kept: one mapping, or a list. Default: the user's own, if neither `airflow` nor
    `kubernetes` is given."""

    kubernetes: Annotated[list[KubernetesEntry], OrOne()] = Field(default_factory=list)
    """The Kubernetes pull secrets that are kept: one mapping, or a list. Default: none."""

    refresh: RefreshEntry = RefreshEntry()
    """When to renew and to retry."""

    cleanup: CleanupEntry = CleanupEntry()
    """Old containers and images."""

    server: ServerEntry = ServerEntry()
    """Where probes and scrapes are answered."""

    log: LogEntry = LogEntry()
    """What is logged on standard error."""
