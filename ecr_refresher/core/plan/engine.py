"""Container engines, what logs in to registries with them (`config.json`, pull secrets), and what a cleanup may remove.

Durations are in seconds, sizes in bytes.
"""

from msgspec import field

from ..model import Record

IN_CLUSTER = "in-cluster"


class Engine(Record, frozen=True):
    """An engine, Docker's or Podman's."""

    url: str
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None


class DockerConfig(Record, frozen=True):
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


class KubernetesSecret(Record, frozen=True):
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


class ContainerRules(Record, frozen=True):
    """Ended containers. A label is `key` or `key=value`."""

    enabled: bool = True
    exited_for: float = 3600.0
    every: bool = False  # containers of all images, not only of our registries' images
    keep_labels: tuple[str, ...] = ()  # a container with one of them stays
    only_labels: tuple[str, ...] = ()  # a container without one of them stays
    orchestrated: bool = False  # also those that ECS, a kubelet or Swarm started
    anonymous_volumes: bool = False  # remove the anonymous volumes of a removed container


class ImageRules(Record, frozen=True):
    """Unused images, while a mark is exceeded. Shares are of the disk with the engine's data."""

    enabled: bool = True
    when_disk_above: float | None = None
    until_below: float = 0.7
    max_size: int | None = None
    unused_for: float = 86400.0
    keep: tuple[str, ...] = ()  # shell patterns of names
    every: bool = False


class Cleanup(Record, frozen=True):
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
