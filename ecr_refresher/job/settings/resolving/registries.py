"""Registries of the plan: hosts taken apart, names made unique, the caller's own registry where none is named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from ....core import plan
from ....core.ecr_host import HOST_EXAMPLE, PATTERN, PUBLIC_HOSTS, EcrHost, parse
from ..problems import Place, Problems, did_you_mean, is_fit_to_show, quoted
from ..reading.values import is_region
from ..schema import RegistryEntry
from .paths import Paths


class Registries:
    """The registries in the order of the settings, and how other settings refer to them."""

    def __init__(self, every: Sequence[plan.Registry], problems: Problems) -> None:
        self.every = tuple(every)
        self._problems = problems
        self._whole = not problems.is_any_spoiled("registries", ("host", "name"))

    def only(self, place: Place, why: str) -> str | None:
        """The name of the one registry there is; with several it is an error that none is named."""
        if len(self.every) == 1:
            return self.every[0].name
        self._problems.error(place, f"{why}; name one of {self._names()}")
        return None

    def find(self, reference: str, place: Place) -> str | None:
        """The name of the registry that is meant by its name or its host."""
        named = [registry for registry in self.every if registry.name == reference]
        hosted = named or [registry for registry in self.every if registry.host and registry.host == reference]
        if len(hosted) == 1:
            return hosted[0].name
        if not hosted:
            known = [name for registry in self.every for name in (registry.name, registry.host) if name]
            if self._whole:  # else it may well be the one whose name could not be read
                self._problems.error(
                    place, f"no registry is named {quoted(reference)}; {did_you_mean(reference, known)}"
                )
        elif not named:
            self._problems.error(place, f"{len(hosted)} registries have this host; give a name, one of {self._names()}")
        return None

    def host(self, name: str) -> str:
        return next(registry.host for registry in self.every if registry.name == name)

    def _names(self) -> str:
        return ", ".join(registry.name for registry in self.every if is_fit_to_show(registry.name))


def resolve(entries: Sequence[RegistryEntry], paths: Paths, problems: Problems) -> Registries:
    """Make the plan's registries. A faulty one is among them, so that references to it are no errors as well."""
    found: list[plan.Registry] = []
    for index, entry in enumerate(entries):
        place: Place = ("registries", index)
        principal = _principal(entry, place, paths, problems)
        registry = plan.Registry(
            name=entry.name or entry.host or plan.OWN,
            host=entry.host or "",
            principal=principal,
            required=entry.required,
            probe_image=entry.probe_image,
            registry_url=entry.registry_url,
            ca_file=entry.ca_file,
            aliases=entry.aliases,
            account=entry.account,
        )
        if _is_new(registry, found, place, problems):
            found.append(registry)
    if not entries:
        region = own_region(("registries",), paths, problems)
        found.append(plan.Registry(name=plan.OWN, host="", principal=plan.Principal("ecr", region)))
    return Registries(found, problems)


def _is_new(registry: plan.Registry, before: list[plan.Registry], place: Place, problems: Problems) -> bool:
    """Whether its name is its own; an error if not."""
    other = next((other for other in before if other.name == registry.name), None)
    if other is None:
        return True
    what = "the same registry stands there twice" if other.host == registry.host else "two registries have this name"
    problems.error((*place, "name"), f"{what} ({quoted(registry.name)}); remove one, or give each its own name")
    return False


def _principal(entry: RegistryEntry, place: Place, paths: Paths, problems: Problems) -> plan.Principal:
    """Whose rights open this registry; the host says the region."""
    roles = _roles(entry, place, problems)
    if entry.use_fips and entry.endpoint_url is not None:
        problems.error((*place, "use_fips"), "does not go with endpoint_url, which names the endpoint; remove one")
    if entry.use_dualstack and entry.endpoint_url is not None:
        problems.error((*place, "use_dualstack"), "does not go with endpoint_url, which names the endpoint; remove one")
    service, region, kind = _place_of(entry, place, paths, problems)
    # The host's own kind of endpoint, unless the settings say otherwise.
    fips, dualstack = (
        (None, None) if kind is None or entry.endpoint_url else (kind.fips or None, kind.dualstack or None)
    )
    return plan.Principal(
        service,
        region,
        roles,
        profile=entry.profile,
        endpoint_url=entry.endpoint_url,
        use_fips=fips if entry.use_fips is None else entry.use_fips,
        use_dualstack=dualstack if entry.use_dualstack is None else entry.use_dualstack,
        # Where the settings name a server of their own for the registry alone, AWS's API keeps to the public CAs.
        ca_file=None if entry.registry_url and not entry.endpoint_url else entry.ca_file,
    )


def _place_of(
    entry: RegistryEntry, place: Place, paths: Paths, problems: Problems
) -> tuple[Literal["ecr", "ecr-public"], str, EcrHost | None]:
    """Service, region and the parts of the host: by the host, else as the settings say or the AWS tools find it."""
    if problems.is_spoiled((*place, "account")):
        return "ecr", "", None
    if entry.account is not None:
        return "ecr", _behind_a_domain(entry, place, problems), None
    if entry.host is None:
        if entry.role_arn:
            problems.error((*place, "host"), f"is missing; a role opens a registry by its host, e.g. {HOST_EXAMPLE}")
        return "ecr", entry.region or own_region(place, paths, problems, entry.profile), None
    try:
        host = parse(entry.host)
    except ValueError as error:
        problems.error((*place, "host"), _fault(entry.host, error))
        return "ecr", "", None
    if entry.region is not None:
        problems.error((*place, "region"), "the host says the region already; remove this")
    if host.misplaced:
        there = host.partition
        problems.error(
            (*place, "host"),
            f"'{entry.host}' can't be: registries of {host.region} are under {there.suffix}; correct region or domain",
        )
    return "ecr-public" if host.public else "ecr", host.region, host


def _behind_a_domain(entry: RegistryEntry, place: Place, problems: Problems) -> str:
    """The region of the registry behind a domain of the user's own, whose name says nothing."""
    if entry.host is None:
        problems.error(
            (*place, "host"), "is missing; account is for a domain of your own: give that, or remove account"
        )
    elif entry.host in PUBLIC_HOSTS or re.fullmatch(PATTERN, entry.host):
        problems.error((*place, "account"), "the host says the account already; remove this")
    elif entry.region is None:
        problems.error(
            (*place, "region"), "is missing; a domain of your own does not say it: give the registry's region"
        )
    return entry.region or ""


def _roles(entry: RegistryEntry, place: Place, problems: Problems) -> tuple[plan.Role, ...]:
    """The chain of roles. One external id is for the last of them, which is the one that strangers trust."""
    ids = entry.external_id
    if problems.is_spoiled((*place, "role_arn")):
        return ()
    for key, given in (("external_id", ids), ("role_session_name", entry.role_session_name)):
        if given and not entry.role_arn:
            problems.error((*place, key), "goes with a role; give role_arn, or remove it")
    if len(ids) == 1:
        ids = [*[None] * (len(entry.role_arn) - 1), *ids]
    elif ids and len(ids) != len(entry.role_arn):
        problems.error(
            (*place, "external_id"),
            f"{len(ids)} external ids for {len(entry.role_arn)} roles; give one for the last, or one (or null) each",
        )
        ids = []
    return tuple(
        plan.Role(arn, ids[index] if index < len(ids) else None, entry.role_session_name)
        for index, arn in enumerate(entry.role_arn)
    )


def _fault(host: str, error: ValueError) -> str:
    """The grammar's own message shows the host; what can't be one may be a secret in the wrong place."""
    if is_fit_to_show(host):
        return f"{error}; for a domain of your own in front of ECR give account and region too"
    return f"this is no host of ECR; write e.g. {HOST_EXAMPLE} or {PUBLIC_HOSTS[0]}"


def own_region(place: Place, paths: Paths, problems: Problems, profile: str | None = None) -> str:
    """The AWS region of the caller, as the AWS tools find it; an error where there is none."""
    if problems.is_spoiled((*place, "host")) or problems.is_spoiled((*place, "region")):
        return ""
    source, region = paths.aws_region(profile)
    if not region:
        problems.error(
            place,
            "no AWS region is set, so the caller's own registry is not known; "
            f"set AWS_REGION, or name the registries, e.g. {HOST_EXAMPLE}",
        )
    elif not is_region(region):
        problems.show_as((source,), source)
        problems.error((source,), "is no AWS region; write one such as us-east-1")
    return region
