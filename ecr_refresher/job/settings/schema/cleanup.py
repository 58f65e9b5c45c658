"""The `cleanup` section: which containers and images go, and when."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ....core import plan
from . import kinds
from .section import Names, Section
from .urls import EngineUrl

_CLEANUP = plan.Cleanup()


class EngineTls(Section):
    """How an engine is trusted, and trusts us."""

    tls_ca: kinds.Path | None = None
    """For an engine at `tcp://`: the CA certificates (PEM) to trust."""
    tls_cert: kinds.Path | None = None
    """For an engine at `tcp://`: the client certificate (PEM)."""
    tls_key: kinds.Path | None = None
    """For an engine at `tcp://`: that certificate's key."""


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
