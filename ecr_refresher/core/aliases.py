"""`aliases: true`: the login of one registry under all of its names, in the files that hold it.

ECR takes the same token under each name, so an alias costs an entry in a file, and no call.
"""

from __future__ import annotations

from msgspec.structs import replace

from . import ecr_host
from .plan import DockerConfig, Plan, Registry


def spell_out(plan: Plan) -> Plan:
    """The plan with each wanted alias as a registry of its own, in every file that holds the registry it stands for.

    A host that the settings name themselves is no alias: what was written there wins. Doing it again changes nothing.
    """
    hosts = {registry.host for registry in plan.registries}
    by_name: dict[str, list[Registry]] = {}
    for registry in plan.registries:
        if registry.aliases and registry.host and registry.alias_of is None:
            others = [str(name) for name in ecr_host.parse(registry.host).names()]
            by_name[registry.name] = [_alias(registry, host) for host in others if host not in hosts]
    new = [alias for aliases in by_name.values() for alias in aliases]
    known = {registry.name for registry in plan.registries}
    return replace(
        plan,
        registries=(*plan.registries, *(alias for alias in new if alias.name not in known)),
        dockers=tuple(_with(docker, by_name) for docker in plan.dockers),
    )


def _alias(registry: Registry, host: str) -> Registry:
    # '@' is in no name that the settings take, so this is nobody else's; two roles of one registry stay apart.
    name = host if registry.name == registry.host else f"{registry.name}@{host}"
    return replace(registry, name=name, host=host, aliases=False, alias_of=registry.name, probe_image=None)


def _with(docker: DockerConfig, by_name: dict[str, list[Registry]]) -> DockerConfig:
    wanted = [alias.name for name in docker.registries for alias in by_name.get(name, ())]
    return replace(docker, registries=tuple(dict.fromkeys((*docker.registries, *wanted))))
