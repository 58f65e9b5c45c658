"""Registries: whether they accept the token, and whether the image may be pulled."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ....core.model import Failed, Reason
from ....core.plan import Registry
from ...net import proof
from ..findings import Finding, ok
from ..scene import Scene, needs_host, token_key
from ..trying import Leg
from .routes import url_key


def legs(scene: Scene) -> Iterator[Leg]:
    """The login at each registry, and the look for its `probe_image`. Aliases are not tried."""
    for registry in scene.plan.registries:
        if registry.alias_of is not None:
            continue
        url = registry.registry_url or f"https://{registry.host}"
        login = Leg(
            "registry",
            registry.name,
            f"logged in at {registry.host or registry.name} with the token",
            partial(_login, scene, registry),
            after=(*needs_host(registry), token_key(registry.principal), url_key(url)),
            required=registry.required and scene.plan.refresh.prove,
        )
        yield login
        if registry.probe_image:
            yield Leg(
                "pull",
                f"{registry.name}/{registry.probe_image}",
                f"looked whether {registry.probe_image} may be pulled",
                partial(_pull, scene, registry),
                after=(login.key,),
                required=registry.required,
            )


def _login(scene: Scene, registry: Registry) -> list[Finding]:
    try:
        scene.tools.prove(registry, scene.credential(registry))
    except proof.Refused:
        message = f"{registry.host} refuses the token that ECR has just granted (401)"
        raise Failed(Reason.DENIED, message, "Correct endpoint_url, or the registry's host") from None
    return [ok("it takes the token")]


def _pull(scene: Scene, registry: Registry) -> list[Finding]:
    scene.tools.probe(registry, scene.credential(registry))
    return [ok("a pull would pass")]
