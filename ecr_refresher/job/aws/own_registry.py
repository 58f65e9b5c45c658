"""The caller's own registry, for settings that name none: AWS says its host."""

from collections.abc import Callable

from msgspec.structs import replace

from ...boot_clock import boot_time
from ...core.ecr import aliases
from ...core.model import Failed, Failure
from ...core.plan import OWN, Plan, Principal
from ..blocking import failure_of, in_time


def find_out(plan: Plan, own_host: Callable[[Principal], str], limit_s: float) -> tuple[dict[str, str], Failure | None]:
    """The missing hosts found within `limit_s` seconds, by the principal's key, and why another was not found."""
    ends_at = boot_time() + limit_s
    found: dict[str, str] = {}
    failure = None
    for principal in dict.fromkeys(registry.principal for registry in plan.registries if not registry.host):
        try:
            found[principal.key] = in_time(ends_at - boot_time(), own_host, principal)
        except (Failed, MemoryError) as error:
            failure = failure_of(error)
    return found, failure


def known(plan: Plan, hosts: dict[str, str]) -> Plan:
    """The plan with these hosts, which name their registries too unless the settings do; and with all aliases."""
    registries, names = [], {}
    for registry in plan.registries:
        host = registry.host or hosts.get(registry.principal.key, "")
        names[registry.name] = host if host and registry.name == OWN and not registry.host else registry.name
        registries.append(replace(registry, name=names[registry.name], host=host))

    def named(old: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(names[name] for name in old)

    airflows = tuple(
        replace(airflow, connections=tuple(replace(one, registry=names[one.registry]) for one in airflow.connections))
        for airflow in plan.airflows
    )
    dockers = tuple(replace(docker, registries=named(docker.registries)) for docker in plan.dockers)
    kubernetes = tuple(replace(secret, registries=named(secret.registries)) for secret in plan.kubernetes)
    plan = replace(plan, registries=tuple(registries), airflows=airflows, dockers=dockers, kubernetes=kubernetes)
    return aliases.spell_out(plan)
