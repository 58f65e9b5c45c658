"""Registries: whether they accept the token, and whether the image may be pulled."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ....core.model import Failed, Reason
from ....core.plan import Registry
from ...net import proof
from ..checkup import Checkup, needs_host, token_key
from ..findings import Finding, ok
from ..trying import Leg
from .routes import url_key, url_of


def legs(checkup: Checkup) -> Iterator[Leg]:
    """The login at each registry, and the look for its `probe_image`. Aliases are not tried."""
    for registry in checkup.plan.registries:
        if registry.alias_of is not None:
            continue
        login = Leg(
            "registry",
            registry.name,
            f"logged in at {registry.host or registry.name} with the token",
            partial(_login, checkup, registry),
            after=(*needs_host(registry), token_key(registry.principal), url_key(url_of(registry))),
            required=registry.required and checkup.plan.refresh.prove,
        )
        yield login
        if image := registry.probe_image:
            words, act = f"looked whether {image} may be pulled", partial(_pull, checkup, registry)
            yield Leg("pull", f"{registry.name}/{image}", words, act, (login.key,), required=registry.required)


def _login(checkup: Checkup, registry: Registry) -> list[Finding]:
    try:
        checkup.tools.prove(registry, checkup.credential(registry))
    except proof.Refused:
        message = f"{registry.host} refuses the token that ECR has just granted (401)"
        raise Failed(Reason.DENIED, message, "Correct endpoint_url, or the registry's host") from None
    return [ok("it accepts the token")]


def _pull(checkup: Checkup, registry: Registry) -> list[Finding]:
    checkup.tools.probe(registry, checkup.credential(registry))
    return [ok("a pull would pass")]
