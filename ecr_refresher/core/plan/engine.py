"""Container engines, the `config.json` files that log in to registries with them, and what a cleanup may remove.

Durations are in seconds, sizes in bytes.
"""

from msgspec import field

from ..model import Record


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
