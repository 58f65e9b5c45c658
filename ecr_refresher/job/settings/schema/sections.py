"""All sections of the settings but `airflow`; `Settings` is the whole."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from ....core import plan
from . import kinds
from .airflow import AirflowEntry
from .section import Names, OneOrMore, Or, Section, split
from .urls import EngineUrl, SecureUrl

_RULES, _CLEANUP, _LOG, _SERVER = plan.Refresh(), plan.Cleanup(), plan.Log(), plan.Server()


class RegistryEntry(Section):
    """One registry, and the AWS identity that logs in to it."""

    key_of_a_text = "host"

    host: kinds.Host | None = None
    """The registry as image names have it: private in any partition, FIPS or dual-stack, `public.ecr.aws`, or a domain
    of your own in front of ECR. Default: the caller's own registry."""
    region: kinds.Region | None = None
    """The region of the caller's own registry, or of the one behind a domain of your own; ECR's hosts name it
    themselves. Default: the AWS region of the environment variables or profile."""
    account: kinds.Account | None = None
    """The account of the registry behind a domain of your own; needs `region` too."""
    name: kinds.Name | None = None
    """What other settings, metrics and `/status` call it; lets two roles use one registry. Default: the host."""

    role_arn: OneOrMore[kinds.RoleArn] = Field(default_factory=list)
    """The role to assume. A list is a chain: each role is assumed with the keys of the one before."""
    external_id: OneOrMore[kinds.ExternalId | None] = Field(default_factory=list)
    """The external id that the last role asks for; or a list with one (or null) for each role."""
    role_session_name: kinds.SessionName | None = None
    """What CloudTrail calls the roles' sessions. Default: `ecr-refresher`."""
    profile: kinds.Profile | None = None
    """The AWS profile that the base credentials come from. Default: botocore's own choice."""

    endpoint_url: SecureUrl | None = None
    """The endpoint of ECR's API, e.g. a VPC endpoint. Default: AWS's public endpoint of the region."""
    use_fips: kinds.Bool | None = None
    """Ask ECR and STS at their FIPS endpoints. Default: with a FIPS host; else as botocore's variables and profile
    say."""
    use_dualstack: kinds.Bool | None = None
    """Ask ECR and STS at their dual-stack endpoints. Default: with a dual-stack host; else as botocore's variables and
    profile say."""

    probe_image: kinds.Image | None = None
    """An image without its registry. After each fetch the daemon tests whether a pull of it would be allowed, and names
    the right that is missing. It warns and never blocks."""
    registry_url: SecureUrl | None = None
    """Where a new token is tested before it is delivered. Default: `https://HOST`."""
    ca_file: kinds.Path | None = None
    """The CA certificates (PEM) to trust for `endpoint_url` and `registry_url`; with neither, for everything that
    concerns this registry. Default: the system's."""

    aliases: kinds.Bool = False
    """Files and pull secrets also get the login under the registry's dual-stack and FIPS names."""
    required: kinds.Bool = True
    """Counts for readiness and exit codes."""


class EngineTls(Section):
    """How an engine is trusted, and trusts us."""

    tls_ca: kinds.Path | None = None
    """For an engine at `tcp://`: the CA certificates (PEM) to trust."""
    tls_cert: kinds.Path | None = None
    """For an engine at `tcp://`: the client certificate (PEM)."""
    tls_key: kinds.Path | None = None
    """For an engine at `tcp://`: that certificate's key."""


class DockerEntry(EngineTls):
    """One `config.json`, written as `docker login` writes it."""

    config_file: kinds.ConfigFile | None = None
    """The file, Docker's `config.json` or Podman's `auth.json`. A path that ends in a slash, or whose last part has no
    suffix, is a directory and means the `config.json` in it. Default: `$REGISTRY_AUTH_FILE`, else
    `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`."""

    mode: kinds.Mode | None = None
    """The file's mode, in octal; restored at each write. Default: 0600 for a new file; an existing one keeps its
    own."""
    owner: kinds.Owner | None = None
    """`uid:gid`, a uid or a user name; only as root. Default: it does not change."""

    registries: Names[kinds.Text] | None = None
    """Names or hosts of the registries whose logins go into the file. Default: all."""

    engine: EngineUrl | None = None
    """The engine, Docker's or Podman's, that proves each new login: its address, or `true` for `$DOCKER_HOST`, else the
    current docker context, else Docker's own socket. Default: none."""
    engine_required: kinds.Bool = False
    """Fetch and write nothing while the engine's socket is missing, and say so: for nodes of which not all have
    Docker."""
    required: kinds.Bool = True
    """Counts for readiness and exit codes."""


class KubernetesEntry(Section):
    """One pull secret (`kubernetes.io/dockerconfigjson`), the same in each namespace."""

    secret: kinds.ObjectName | None = None
    """The secret's name. It is created where it is missing."""

    namespaces: Names[kinds.Namespace] | None = None
    """The namespaces that get it. Default: the pod's own."""
    namespace_selector: kinds.Selector | None = None
    """A label selector, in place of `namespaces`: each namespace that it matches gets the secret, later ones too."""

    registries: Names[kinds.Text] | None = None
    """Names or hosts of the registries whose logins go into the secret. Default: all."""

    service_accounts: Names[kinds.ObjectName] = Field(default_factory=list)
    """ServiceAccounts of these namespaces that get the secret added to their `imagePullSecrets`."""
    kubeconfig: kinds.Path | None = None
    """How to reach the API server. Default: by the pod's own ServiceAccount, else the usual kubeconfig."""
    required: kinds.Bool = True
    """Counts for readiness and exit codes."""


class RefreshEntry(Section):
    """When to renew and to retry."""

    at_fraction: Annotated[float, Field(gt=0, lt=1)] = _RULES.at_fraction
    """Renew at this part of a token's life; between 0 and 1."""
    jitter: Annotated[float, Field(ge=0, lt=1)] = _RULES.jitter
    """Renew earlier or later by up to this part of its life; drawn for each token and daemon."""
    max_age: Annotated[float, kinds.duration(1.0)] | None = _RULES.max_age
    """Renew at this age at the latest. Default: only `at_fraction` counts."""
    verify_every: Annotated[float, kinds.duration(1.0)] = _RULES.verify_every
    """How often connections and pull secrets are read again; files are watched all the time."""

    deadline: Annotated[float, kinds.duration(5.0, 600.0)] = _RULES.deadline
    """The longest time that a pass may take."""

    retry_first: Annotated[float, kinds.duration(0.1, 3600.0)] = _RULES.retry_first
    """The shortest pause before a retry."""
    retry_max: Annotated[float, kinds.duration(0.1, 86400.0)] = _RULES.retry_max
    """The longest pause before a retry."""
    prove: kinds.Bool = _RULES.prove
    """Test a new token at the registry before it is delivered."""


class CleanupContainersEntry(Section):
    """Which containers are removed: those that have ended or never started."""

    enabled: kinds.Bool = _CLEANUP.containers.enabled
    """Remove containers."""
    exited_for: Annotated[float, kinds.duration(0.0)] = _CLEANUP.containers.exited_for
    """How long ago a container must have ended; one that was never started: how long ago it was created, and at least a
    minute."""
    of: kinds.Which = "registries"
    """Only containers of our registries' images, or all."""

    keep_labels: Names[kinds.Label] = Field(default_factory=list)
    """Containers with one of these labels stay; `key`, or `key=value`."""
    only_labels: Names[kinds.Label] = Field(default_factory=list)
    """Only containers with all of these labels are removed."""
    orchestrated: kinds.Bool = _CLEANUP.containers.orchestrated
    """Also containers that Amazon ECS, Kubernetes or Swarm started."""
    anonymous_volumes: kinds.Bool = _CLEANUP.containers.anonymous_volumes
    """Remove the anonymous volumes of a removed container; named ones stay."""


class CleanupImagesEntry(Section):
    """Which unused images are removed, and when: the least recently used first, while a mark is exceeded."""

    enabled: kinds.Bool = _CLEANUP.images.enabled
    """Remove images."""

    when_disk_above: kinds.Share | None = None
    """Remove images while the disk with the engine's data is fuller than this. Default: `80%`, without `max_size`."""
    until_below: kinds.Share | None = None
    """Once started, continue until the disk is less full than this. Default: 10 points below `when_disk_above`."""
    max_size: kinds.Size | None = None
    """Remove images while all of them together are bigger than this; shared layers count once."""

    unused_for: Annotated[float, kinds.duration(0.0)] = _CLEANUP.images.unused_for
    """How long ago an image's last use must be; of one that was never used: how long ago it was first seen."""
    keep: Names[kinds.ImagePattern] = Field(default_factory=list)
    """Images that stay: names with `*` for anything, with or without the registry's host."""
    of: kinds.Which = "registries"
    """Only images of our registries that can be pulled again, or all: also those built here and never pushed."""


class CleanupBuildCacheEntry(Section):
    """BuildKit's cache."""

    max_size: kinds.Size | None = None
    """Prune the build cache to this size, least recently used first. Default: it is left alone."""


class CleanupEntry(EngineTls):
    """Removal of old containers and images, by last use, not by age. `ecr-refresher cleanup` follows the same rules."""

    enabled: kinds.Bool = _CLEANUP.enabled
    """The daemon cleans up. Needs the engine's socket."""

    engine: EngineUrl = _CLEANUP.engine.url
    """The engine to keep clean, Docker's or Podman's: its address, or `true` as in `docker`."""

    every: Annotated[float, kinds.duration(1.0, 86400.0)] = _CLEANUP.every
    """How often it looks for something to remove."""
    dry_run: kinds.Bool = _CLEANUP.dry_run
    """Remove nothing; log what would be removed."""

    state_file: kinds.Path | None = None
    """The file that stores last uses. Default: `cleanup.json` in `$STATE_DIRECTORY`, else in
    `$XDG_STATE_HOME/ecr-refresher`, else in `~/.local/state/ecr-refresher`."""
    data_root: kinds.Path | None = None
    """Where the engine's data is, as seen from here, to measure its disk. Default: where the engine says; in a
    container of that engine it is found by itself."""

    containers: CleanupContainersEntry = CleanupContainersEntry()
    """Which containers are removed."""
    images: CleanupImagesEntry = CleanupImagesEntry()
    """Which images are removed, and when."""
    build_cache: CleanupBuildCacheEntry = CleanupBuildCacheEntry()
    """BuildKit's cache."""


class ServerEntry(Section):
    """The HTTP server for probes and scrapes."""

    listen: kinds.Listen = kinds.Address(_SERVER.host, _SERVER.port)
    """Address and port; `:9719` is every interface, IPv6 and IPv4."""
    tls_cert: kinds.Path | None = None
    """The certificate (PEM) for https. Default: plain http."""
    tls_key: kinds.Path | None = None
    """That certificate's key."""


class LogEntry(Section):
    """What is logged on standard error."""

    level: kinds.Level = _LOG.level
    """The lowest level that is shown."""
    format: kinds.LogFormat = _LOG.format
    """One JSON object a line, or lines for people."""


class Settings(Section):
    """The settings of ecr-refresher."""

    registries: Annotated[
        OneOrMore[Annotated[RegistryEntry, Or(kinds.HOST_SCHEMA)]], BeforeValidator(split), Or(kinds.HOSTS_SCHEMA)
    ] = Field(default_factory=list)
    """The ECR registries: hosts, or mappings. Default: the caller's own registry in the AWS region."""

    airflow: OneOrMore[AirflowEntry] = Field(default_factory=list)
    """The Airflows whose connections are kept: one mapping, or a list. Default: none."""

    docker: OneOrMore[DockerEntry] = Field(default_factory=list)
    """The `config.json` files that are kept: one mapping, or a list. Default: the user's own, if neither `airflow` nor
    `kubernetes` is given."""

    kubernetes: OneOrMore[KubernetesEntry] = Field(default_factory=list)
    """The Kubernetes pull secrets that are kept: one mapping, or a list. Default: none."""

    refresh: RefreshEntry = RefreshEntry()
    """When to renew and to retry."""
    cleanup: CleanupEntry = CleanupEntry()
    """Old containers and images."""
    server: ServerEntry = ServerEntry()
    """The HTTP server for probes and scrapes."""
    log: LogEntry = LogEntry()
    """What is logged on standard error."""
