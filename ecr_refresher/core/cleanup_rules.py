"""What a cleanup may remove from a host, and when. Durations are in seconds, sizes in bytes."""

from .model import Record


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
