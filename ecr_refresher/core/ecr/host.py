"""The grammar of ECR host names, and nothing else: a host names account, region, FIPS and dual-stack.

Source: AWS's endpoint pages and the partitions in botocore's endpoint data.
"""

import re
from dataclasses import dataclass, replace

from . import partitions
from .partitions import Partition

PUBLIC_HOSTS = ("public.ecr.aws", "ecr-public.aws.com")  # the second one is dual-stack
PUBLIC_REGION = "us-east-1"  # the only region in which ECR Public grants tokens
HOST_EXAMPLE = "123456789012.dkr.ecr.us-east-1.amazonaws.com"

_PRIVATE = re.compile(
    r"(?P<account>[0-9]{12})\.dkr(?P<joint>[.-])ecr(?P<fips>-fips)?\.(?P<region>[a-z0-9][a-z0-9-]*)"
    r"\.(?P<suffix>amazonaws\.(?:com(?:\.cn)?|eu)|on\.(?:aws|amazonwebservices\.com\.cn)|sc2s\.sgov\.gov|c2s\.ic\.gov"
    r"|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)"
)
PATTERN = re.sub(r"\?P<\w+>", "?:", _PRIVATE.pattern)  # of private registries, for every dialect of expressions


@dataclass(frozen=True, slots=True)
class EcrHost:
    """The parts of a host name of ECR. `account` is None for ECR Public."""

    account: str | None
    region: str
    suffix: str
    fips: bool = False
    dualstack: bool = False

    @property
    def public(self) -> bool:
        return self.account is None

    @property
    def partition(self) -> Partition:
        """The partition: by the region where that is known, else by the domain, which two of them share."""
        return partitions.of_region(self.region) or partitions.of_suffix(self.suffix)[0]

    @property
    def misplaced(self) -> bool:
        """Whether the domain is of another partition than the region: there is no such host."""
        return self.account is not None and self.partition not in partitions.of_suffix(self.suffix)

    def names(self) -> tuple["EcrHost", ...]:
        """Every name of this registry, this one included: plain, FIPS, dual-stack, both, as far as AWS has them."""
        if self.account is None:
            return tuple(map(parse, PUBLIC_HOSTS))
        partition = self.partition
        found = [self]
        for suffix, dualstack in ((partition.suffix, False), (partition.dualstack, True)):
            kinds = (False, True) if self.region in partitions.FIPS_REGIONS else (False,)
            if suffix is not None:
                found += [replace(self, suffix=suffix, dualstack=dualstack, fips=fips) for fips in kinds]
        return tuple(dict.fromkeys(found))

    def __str__(self) -> str:
        if self.account is None:
            return self.suffix
        joint = "-" if self.dualstack else "."
        fips = "-fips" if self.fips else ""
        return f"{self.account}.dkr{joint}ecr{fips}.{self.region}.{self.suffix}"


def parse(host: str) -> EcrHost:
    """Read a registry's host, as image names have it. Raises ValueError with what is wrong and a valid example."""
    if host in PUBLIC_HOSTS:
        return EcrHost(account=None, region=PUBLIC_REGION, suffix=host, dualstack=host == PUBLIC_HOSTS[1])
    match = _PRIVATE.fullmatch(host)
    if match is None:
        raise ValueError(f"{_fault(host)}; write the bare host of a registry, e.g. {HOST_EXAMPLE} or {PUBLIC_HOSTS[0]}")
    return EcrHost(
        account=match["account"],
        region=match["region"],
        suffix=match["suffix"],
        fips=match["fips"] is not None,
        dualstack=match["joint"] == "-",
    )


def of_account(account: str, region: str) -> EcrHost:
    """A private registry by account and region."""
    partition = partitions.of_region(region) or partitions.PARTITIONS[0]
    return EcrHost(account, region, partition.suffix)


def _fault(host: str) -> str:
    if "://" in host:
        return f"'{host}' has a scheme in front"
    if "/" in host:
        return f"'{host}' has a path behind the host"
    if re.fullmatch(r".*:\d*", host):
        return f"'{host}' has a port; Docker pulls from ECR break with one"
    if host != host.lower():
        return f"'{host}' has capital letters"
    account = host.split(".", 1)[0]
    if ".dkr" in host and not re.fullmatch(r"[0-9]{12}", account):
        return f"'{host}' begins with '{account}', which is not an account number of 12 digits"
    return f"'{host}' is not a host of ECR"
