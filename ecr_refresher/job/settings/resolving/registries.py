"""Registries of the plan: hosts taken apart, names made unique, the caller's own registry where none is named."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .... import logs
from ....core import plan
from ....core.ecr.host import HOST_EXAMPLE, PATTERN, PUBLIC_HOSTS, EcrHost, parse
from ..problems import Spot, did_you_mean, quoted
from ..schema.kinds import REGION
from ..schema.sections import RegistryEntry
from ..surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Registries:
    """The registries in the order of the settings, and how other settings refer to them."""

    every: tuple[plan.Registry, ...]
    are_whole: bool  # each one's name and host could be read

    def only(self, at: Spot) -> str | None:
        """The name of the only registry. With several it is an error that none is named."""
        if len(self.every) == 1:
            return self.every[0].name
        at.error("is missing, and there are several registries", f"Name one of {self._names()}")
        return None

    def find(self, reference: str, at: Spot) -> str | None:
        """The name of the registry with this name or host; None, and an error, where there is none."""
        named = [registry for registry in self.every if registry.name == reference]
        hosted = named or [registry for registry in self.every if registry.host and registry.host == reference]
        if len(hosted) == 1:
            return hosted[0].name
        if hosted:
            at.error(f"{len(hosted)} registries have this host", f"Give a name, one of {self._names()}")
        elif self.are_whole:  # else it may well be the one whose name could not be read
            known = [name for registry in self.every for name in (registry.name, registry.host) if name]
            at.error(f"no registry has the name {quoted(reference)}", did_you_mean(reference, known))
        return None

    def one_for_each_host(self, references: Sequence[str] | None, at: Spot) -> tuple[str, ...]:
        """Names of the registries whose logins go into one file or secret, which keys them by host. None means all."""
        if references is None:
            names = [registry.name for registry in self.every]
        else:
            found = [self.find(reference, at / index) for index, reference in enumerate(references)]
            names = [name for name in found if name is not None]
            if not references:
                at.error("is empty", "Name the registries, or remove this for all of them")
        by_host: dict[str, str] = {}
        hosts = {registry.name: registry.host for registry in self.every}
        for name in names:
            host = hosts[name]
            if host and host in by_host:  # the caller's own has none yet
                both = " and ".join(quoted(each) for each in (by_host[host], name))
                at.error(f"{both} would share the one entry for {quoted(host)}", "Name one of them")
            by_host[host] = name
        return tuple(names)

    def _names(self) -> str:
        return ", ".join(registry.name for registry in self.every if logs.is_fit_to_show(registry.name))


def resolve(entries: Sequence[RegistryEntry], at: Spot, surroundings: Surroundings) -> Registries:
    """Make the plan's registries. A wrong one is among them, so that references to it are no errors as well."""
    found: dict[str, plan.Registry] = {}
    for index, entry in enumerate(entries or [RegistryEntry()]):
        here = at / index if entries else at
        registry = plan.Registry(
            name=entry.name or entry.host or plan.OWN,
            host=entry.host or "",
            principal=_principal(entry, here, surroundings),
            **entry.model_dump(include={"required", "probe_image", "registry_url", "ca_file", "aliases", "account"}),
        )
        other = found.setdefault(registry.name, registry)
        if other is not registry:
            what = "this registry is given twice" if other.host == registry.host else "two registries have this name"
            (here / "name").error(f"{what}: {quoted(registry.name)}", "Remove one, or give each its own name")
    return Registries(tuple(found.values()), are_whole=not at.is_any_spoiled("host", "name"))


def _principal(entry: RegistryEntry, at: Spot, surroundings: Surroundings) -> plan.Principal:
    """Whose rights open this registry, and where its token is asked for."""
    for key in ("use_fips", "use_dualstack"):
        if getattr(entry, key) and entry.endpoint_url is not None:
            (at / key).error("can't be combined with endpoint_url, which names the endpoint", "Remove one of them")
    region, host = _place_of(entry, at, surroundings)
    # The host's own kind of endpoint, unless the settings say otherwise. None leaves it to botocore.
    kind = None if entry.endpoint_url else host
    return plan.Principal(
        "ecr-public" if host is not None and host.public else "ecr",
        region,
        _roles(entry, at),
        profile=entry.profile,
        endpoint_url=entry.endpoint_url,
        use_fips=(kind and kind.fips) or None if entry.use_fips is None else entry.use_fips,
        use_dualstack=(kind and kind.dualstack) or None if entry.use_dualstack is None else entry.use_dualstack,
        # Where the settings name a server of their own for the registry alone, AWS's API keeps to the public CAs.
        ca_file=None if entry.registry_url and not entry.endpoint_url else entry.ca_file,
    )


def _place_of(entry: RegistryEntry, at: Spot, surroundings: Surroundings) -> tuple[str, EcrHost | None]:
    """The region, and the parts of the host if it is one of ECR."""
    if at.is_spoiled("account"):
        return "", None
    if entry.account is not None:
        return _behind_a_domain(entry, at), None
    if entry.host is None:
        if entry.role_arn:
            (at / "host").error("is missing", f"Give it, e.g. {HOST_EXAMPLE}: a role opens a registry by its host")
        return entry.region or own_region(at, surroundings, entry.profile), None
    try:
        host = parse(entry.host)
    except ValueError as error:
        # The grammar's own message shows the host. What can't be one may be a secret in the wrong place.
        what = str(error).partition("; ")[0] if logs.is_fit_to_show(entry.host) else "is not a host of ECR"
        fix = f"Write e.g. {HOST_EXAMPLE} or {PUBLIC_HOSTS[0]}; for a domain of your own give account and region too"
        (at / "host").error(what, fix)
        return "", None
    if entry.region is not None:
        (at / "region").error("is part of the host's name already", "Remove it")
    if host.misplaced:
        what = f"'{entry.host}' can't be: registries of {host.region} are under {host.partition.suffix}"
        (at / "host").error(what, "Correct the region or the domain")
    return host.region, host


def _behind_a_domain(entry: RegistryEntry, at: Spot) -> str:
    """The region of the registry behind a domain of the user's own, whose name does not include it."""
    if entry.host is None:
        (at / "host").error("is missing", "Write your own domain: account applies only to one")
    elif entry.host in PUBLIC_HOSTS or re.fullmatch(PATTERN, entry.host):
        (at / "account").error("is part of the host's name already", "Remove it")
    elif entry.region is None:
        (at / "region").error(
            "is missing, and a domain of your own does not include it", "Write the registry's AWS region"
        )
    return entry.region or ""


def _roles(entry: RegistryEntry, at: Spot) -> tuple[plan.Role, ...]:
    """The chain of roles. A single external id is for the last role."""
    roles, ids = entry.role_arn, entry.external_id
    if at.is_spoiled("role_arn"):
        return ()
    for key in ("external_id", "role_session_name"):
        if getattr(entry, key) and not roles:
            (at / key).error("needs a role", f"Set role_arn, or remove {key}")
    if len(ids) <= 1:
        ids = [*[None] * (len(roles) - len(ids)), *ids]
    elif len(ids) != len(roles):
        what = f"has {len(ids)} external ids for {len(roles)} roles"
        (at / "external_id").error(what, "Give one for the last role, or one (or null) for each")
    return tuple(plan.Role(arn, id_, entry.role_session_name) for arn, id_ in zip(roles, ids, strict=False))


def own_region(at: Spot, surroundings: Surroundings, profile: str | None = None) -> str:
    """The AWS region of the caller, as the AWS tools find it; an error where there is none."""
    if at.is_spoiled("host", "region"):
        return ""
    source, region = surroundings.aws_region(profile)
    if not region:
        what = "no AWS region is set, so the caller's own registry is not known"
        at.error(what, f"Set AWS_REGION, or name the registries, e.g. {HOST_EXAMPLE}")
    elif not re.fullmatch(REGION, region):
        at.problems.add(source, "is not an AWS region", "Write one such as us-east-1")
    return region
