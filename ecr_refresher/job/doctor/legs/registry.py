"""Registries: whether they accept the token, and whether the image may be pulled."""

from collections.abc import Iterator

from ....core.model import Failed, Reason
from ....core.plan import Registry
from ...net import proof
from ..checkup import Checkup, needs_host, token_key
from ..findings import Finding, ok
from ..trying import Leg
from .routes import url_key


def legs(checkup: Checkup) -> Iterator[Leg]:
    """The login at each registry, and the look for its `probe_image`."""
    for registry in checkup.registries():
        yield from _legs(checkup, registry)


def _legs(checkup: Checkup, registry: Registry) -> Iterator[Leg]:
    def log_in() -> list[Finding]:
        try:
            checkup.tools.prove(registry, checkup.credentials[registry.principal.key])
        except proof.Refused:
            message = f"{registry.host} refuses the token that ECR has just granted (401)"
            raise Failed(Reason.DENIED, message, "Correct endpoint_url, or the registry's host") from None
        return [ok("it accepts the token")]

    def pull() -> list[Finding]:
        checkup.tools.probe(registry, checkup.credentials[registry.principal.key])
        return [ok("a pull would pass")]

    words = f"logged in at {registry.host or registry.name} with the token"
    after = (*needs_host(registry), token_key(registry.principal), url_key(proof.url_of(registry)))
    required = registry.required and checkup.plan.refresh.prove
    yield (login := Leg("registry", registry.name, words, log_in, after, required=required))
    if image := registry.probe_image:
        words = f"looked whether {image} may be pulled"
        yield Leg("pull", f"{registry.name}/{image}", words, pull, (login.key,), required=registry.required)
