"""Docker's `config.json` files, what they hold, and the engines."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ...core.plan import DockerConfig, Registry
from . import holding
from .findings import Finding
from .legs import Leg
from .scene import Scene, token_key


def legs(scene: Scene) -> Iterator[Leg]:
    """The legs of all files."""
    for docker in scene.plan.dockers:
        for name in docker.registries:
            registry = scene.plan.registry(name)
            yield Leg(
                "entry",
                f"{docker.sink} {name}",
                f"looked what {docker.config_file} holds for {registry.host}",
                partial(_look, scene, docker, registry),
                waits_for=(token_key(registry.principal),),
                required=docker.required and registry.required,
            )


def _look(scene: Scene, docker: DockerConfig, registry: Registry) -> list[Finding]:
    now = scene.tools.clock.now()
    held = scene.tools.docker(docker).look(registry.host, now)
    return [holding.judged(held, now, held.life or scene.life(registry), scene.plan.refresh)]
