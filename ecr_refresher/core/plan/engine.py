"""Container engines, the `config.json` files that log in to registries with them, and the cleanup of one."""

from msgspec import field

from ..cleanup_rules import ContainerRules, ImageRules
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
