"""Registries of the plan: hosts taken apart, names made unique, the caller's own registry where none is named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from ....core import plan
from ....core.ecr.host import HOST_EXAMPLE, PATTERN, PUBLIC_HOSTS, EcrHost, parse
from ..problems import Place, Problems, did_you_mean, is_fit_to_show, quoted
from ..schema.kinds import REGION
from ..schema.sections import RegistryEntry
from ..surroundings import Surroundings


class Registries:
    """The registries in the order of the settings, and how other settings refer to them."""

    def __init__(self, every: Sequence[plan.Registry], problems: Problems) -> None:
        self.every = tuple(every)
        self._problems = problems
        self._whole = not problems.is_any_spoiled("registries", ("host", "name"))

    def only(self, place: Place) -> str | None:
        """The name of the only registry. With several it is an error that none is named."""
        if len(self.every) == 1:
            return self.every[0].name
        self._problems.error(place, "is missing, and there are several registries", f"Name one of {self._names()}")
        return None

    def find(self, reference: str, place: Place) -> str | None:
        """The name of the registry with this name or host; None, and an error, where there is none."""
        named = [registry for registry in self.every if registry.name == reference]
        hosted = named or [registry for registry in self.every if registry.host and registry.host == reference]
        if len(hosted) == 1:
            return hosted[0].name
        if not hosted:
            known = [name for registry in self.every for name in (registry.name, registry.host) if name]
            if self._whole:  # else it may well be the one whose name could not be read
                what = f"no registry has the name {quoted(reference)}"
                self._problems.error(place, what, did_you_mean(reference, known))
        elif not named:
            what = f"{len(hosted)} registries have this host"
            self._problems.error(place, what, f"Give a name, one of {self._names()}")
        return None

    def one_for_each_host(self, references: Sequence[str] | None, place: Place) -> tuple[str, ...]:
        """Names of the registries whose logins go into one file or secret, which keys them by host. None means all."""
        if references is None:
            names = [registry.name for registry in self.every]
        else:
            found = [self.find(reference, (*place, index)) for index, reference in enumerate(references)]
            names = [name for name in found if name is not None]
            if not references:
                self._problems.error(place, "is empty", "Name the registries, or remove this for all of them")
        by_host: dict[str, str] = {}
        hosts = {registry.name: registry.host for registry in self.every}
        for name in names:
            host = hosts[name]
            if host and host in by_host:  # the caller's own has none yet
                both = " and ".join(quoted(each) for each in (by_host[host], name))
                self._problems.error(place, f"{both} would share the one entry for {quoted(host)}", "Name one of them")
            by_host[host] = name
        return tuple(names)

    def _names(self) -> str:
        return ", ".join(registry.name for registry in self.every if is_fit_to_show(registry.name))


def resolve(entries: Sequence[RegistryEntry], surroundings: Surroundings, problems: Problems) -> Registries:
    """Make the plan's registries. A wrong one is among them, so that references to it are no errors as well."""
    found: list[plan.Registry] = []
    for index, entry in enumerate(entries or [RegistryEntry()]):
        place: Place = ("registries", index) if entries else ("registries",)
        registry = plan.Registry(
            name=entry.name or entry.host or plan.OWN,
            host=entry.host or "",
            principal=_principal(entry, place, surroundings, problems),
            required=entry.required,
            probe_image=entry.probe_image,
            registry_url=entry.registry_url,
            ca_file=entry.ca_file,
            aliases=entry.aliases,
            account=entry.account,
        )
        other = next((other for other in found if other.name == registry.name), None)
        if other is None:
            found.append(registry)
        else:
            what = "the same registry stands there twice" if other.host == registry.host else "two have this name"
            fix = "Remove one, or give each its own name"
            problems.error((*place, "name"), f"{what}: {quoted(registry.name)}", fix)
    return Registries(found, problems)


def _principal(entry: RegistryEntry, place: Place, surroundings: Surroundings, problems: Problems) -> plan.Principal:
    """Whose rights open this registry, and where its token is asked for."""
    for key in ("use_fips", "use_dualstack"):
        if getattr(entry, key) and entry.endpoint_url is not None:
            problems.error((*place, key), "does not go with endpoint_url, which names the endpoint", "Remove one")
    service, region, host = _place_of(entry, place, surroundings, problems)
    # The host's own kind of endpoint, unless the settings say otherwise. None leaves it to botocore.
    kind = None if entry.endpoint_url else host
    return plan.Principal(
        service,
        region,
        _roles(entry, place, problems),
        profile=entry.profile,
        endpoint_url=entry.endpoint_url,
        use_fips=(kind and kind.fips) or None if entry.use_fips is None else entry.use_fips,
        use_dualstack=(kind and kind.dualstack) or None if entry.use_dualstack is None else entry.use_dualstack,
        # Where the settings name a server of their own for the registry alone, AWS's API keeps to the public CAs.
        ca_file=None if entry.registry_url and not entry.endpoint_url else entry.ca_file,
    )


def _place_of(
    entry: RegistryEntry, place: Place, surroundings: Surroundings, problems: Problems
) -> tuple[Literal["ecr", "ecr-public"], str, EcrHost | None]:
    """Service, region and the parts of the host, if it is one of ECR."""
    if problems.is_spoiled((*place, "account")):
        return "ecr", "", None
    if entry.account is not None:
        return "ecr", _behind_a_domain(entry, place, problems), None
    if entry.host is None:
        if entry.role_arn:
            fix = f"Give it, e.g. {HOST_EXAMPLE}: a role opens a registry by its host"
            problems.error((*place, "host"), "is missing", fix)
        return "ecr", entry.region or own_region(place, surroundings, problems, entry.profile), None
    try:
        host = parse(entry.host)
    except ValueError as error:
        # The grammar's own message shows the host. What can't be one may be a secret in the wrong place.
        what = str(error).partition("; ")[0] if is_fit_to_show(entry.host) else "is not a host of ECR"
        fix = f"Write e.g. {HOST_EXAMPLE} or {PUBLIC_HOSTS[0]}; for a domain of your own give account and region too"
        problems.error((*place, "host"), what, fix)
        return "ecr", "", None
    if entry.region is not None:
        problems.error((*place, "region"), "is said by the host already", "Remove it")
    if host.misplaced:
        what = f"'{entry.host}' can't be: registries of {host.region} are under {host.partition.suffix}"
        problems.error((*place, "host"), what, "Correct the region or the domain")
    return "ecr-public" if host.public else "ecr", host.region, host


def _behind_a_domain(entry: RegistryEntry, place: Place, problems: Problems) -> str:
    """The region of the registry behind a domain of the user's own, whose name says nothing."""
    if entry.host is None:
        problems.error((*place, "host"), "is missing", "Give your own domain, which account goes with")
    elif entry.host in PUBLIC_HOSTS or re.fullmatch(PATTERN, entry.host):
        problems.error((*place, "account"), "is said by the host already", "Remove it")
    elif entry.region is None:
        problems.error((*place, "region"), "is missing, and a domain of your own does not say it", "Give it")
    return entry.region or ""


def _roles(entry: RegistryEntry, place: Place, problems: Problems) -> tuple[plan.Role, ...]:
    """The chain of roles. One external id is for the last role, which is the one that strangers trust."""
    ids = entry.external_id
    if problems.is_spoiled((*place, "role_arn")):
        return ()
    for key, given in (("external_id", ids), ("role_session_name", entry.role_session_name)):
        if given and not entry.role_arn:
            problems.error((*place, key), "goes with a role", "Give role_arn, or remove this")
    if len(ids) == 1:
        ids = [*[None] * (len(entry.role_arn) - 1), *ids]
    elif ids and len(ids) != len(entry.role_arn):
        what = f"has {len(ids)} external ids for {len(entry.role_arn)} roles"
        problems.error((*place, "external_id"), what, "Give one for the last role, or one (or null) for each")
        ids = []
    return tuple(
        plan.Role(arn, ids[index] if index < len(ids) else None, entry.role_session_name)
        for index, arn in enumerate(entry.role_arn)
    )


def own_region(place: Place, surroundings: Surroundings, problems: Problems, profile: str | None = None) -> str:
    """The AWS region of the caller, as the AWS tools find it; an error where there is none."""
    if problems.is_spoiled((*place, "host"), (*place, "region")):
        return ""
    source, region = surroundings.aws_region(profile)
    if not region:
        what = "no AWS region is set, so the caller's own registry is not known"
        problems.error(place, what, f"Set AWS_REGION, or name the registries, e.g. {HOST_EXAMPLE}")
    elif not re.fullmatch(REGION, region):
        problems.add(source, "is not an AWS region", "Write one such as us-east-1")
    return region
