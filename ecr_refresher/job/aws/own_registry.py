"""The caller's own registry, for settings that name none: AWS says its host."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from ...core.ecr import aliases
from ...core.model import Failed, Failure
from ...core.plan import OWN, Plan, Principal, Registry


def find_out(plan: Plan, own_host: Callable[[Principal], str]) -> tuple[dict[str, str], Failure | None]:
    """Ask for the hosts that are missing. Return those found, by the principal's key, and why another was not."""
    found: dict[str, str] = {}
    failure = None
    for registry in plan.registries:
        key = registry.principal.key
        try:
            if not registry.host and key not in found:
                found[key] = own_host(registry.principal)
        except Failed as error:
            failure = error.failure
    return found, failure


def known(plan: Plan, hosts: dict[str, str]) -> Plan:
    """The plan with these hosts in it, and with the aliases of its registries."""
    for registry in plan.registries:
        if not registry.host and registry.principal.key in hosts:
            plan = _named(plan, registry, hosts[registry.principal.key])
    return aliases.spell_out(plan)


def _named(plan: Plan, registry: Registry, host: str) -> Plan:
    """The plan with this registry's host, which is also its name unless the settings give one."""
    name = host if registry.name == OWN else registry.name

    def name_of(old: str) -> str:
        return name if old == registry.name else old

    return replace(
        plan,
        registries=tuple(replace(r, name=name, host=host) if r is registry else r for r in plan.registries),
        airflows=tuple(
            replace(a, connections=tuple(replace(c, registry=name_of(c.registry)) for c in a.connections))
            for a in plan.airflows
        ),
        dockers=tuple(replace(d, registries=tuple(name_of(name) for name in d.registries)) for d in plan.dockers),
        kubernetes=tuple(replace(k, registries=tuple(name_of(name) for name in k.registries)) for k in plan.kubernetes),
    )
