"""`check --reader`: the files, as the user that it runs as reads them."""

from __future__ import annotations

from collections.abc import Iterator

from ..checkup import Checkup
from ..trying import Leg
from . import docker


def legs(checkup: Checkup) -> Iterator[Leg]:
    """The legs of each entry that a file holds."""
    for config in checkup.plan.dockers:
        for name in config.registries:
            registry = checkup.plan.registry(name)
            if registry.alias_of is None:
                yield from docker.entry_legs(checkup, config, registry)
