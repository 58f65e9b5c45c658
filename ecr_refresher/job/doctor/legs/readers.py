"""`check --reader`: the files, as the user that it runs as reads them."""

from __future__ import annotations

from collections.abc import Iterator

from ..scene import Scene
from ..trying import Leg
from . import docker


def legs(scene: Scene) -> Iterator[Leg]:
    """The legs of each entry that a file holds."""
    for config in scene.plan.dockers:
        for name in config.registries:
            registry = scene.plan.registry(name)
            if registry.alias_of is None:
                yield from docker.entry_legs(scene, config, registry)
