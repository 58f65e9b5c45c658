"""`aliases: true`: the login of one registry under all of its names, in the files and secrets that hold it.

ECR takes the same token under each name, so an alias costs an entry and no call.
"""

from typing import TypeVar

from msgspec.structs import replace

from ..plan import DockerConfig, KubernetesSecret, Plan, Registry

Holder = TypeVar("Holder", DockerConfig, KubernetesSecret)


def spell_out(plan: Plan) -> Plan:
    """The plan with each wanted alias as a registry of its own, in every file that holds the registry it stands for.

    A host that the settings name is not an alias: its own entry wins. Doing it again changes nothing.
    """
    hosts = {registry.host for registry in plan.registries}
    by_name: dict[str, list[Registry]] = {}
    for registry in plan.registries:
        if registry.aliases and registry.host and registry.alias_of is None:
            others = [host for host in map(str, registry.ecr.names()) if host not in hosts]
            # Settings allow no '@' in names, so such a name is free; two roles of one registry keep their own aliases.
            under = "" if registry.name == registry.host else f"{registry.name}@"
            alias = replace(registry, aliases=False, alias_of=registry.name, probe_image=None)
            by_name[registry.name] = [replace(alias, name=under + host, host=host) for host in others]
    new = [alias for aliases in by_name.values() for alias in aliases]
    known = {registry.name for registry in plan.registries}
    return replace(
        plan,
        registries=(*plan.registries, *(alias for alias in new if alias.name not in known)),
        dockers=tuple(_with(docker, by_name) for docker in plan.dockers),
        kubernetes=tuple(_with(secret, by_name) for secret in plan.kubernetes),
    )


def _with(holder: Holder, by_name: dict[str, list[Registry]]) -> Holder:
    names = dict.fromkeys(holder.registries)
    names.update(dict.fromkeys(alias.name for name in holder.registries for alias in by_name.get(name, ())))
    return replace(holder, registries=tuple(names))
