"""The partitions of AWS, their regions, and the domains of their registries.

Source: AWS's endpoint pages and botocore's `partitions.json`; a test compares this module with the latter.
"""

import re
from dataclasses import dataclass

# AWS has FIPS names of registries here only (botocore's `fips-dkr-…` endpoints).
FIPS_REGIONS = ("us-east-1", "us-east-2", "us-west-1", "us-west-2", "us-gov-east-1", "us-gov-west-1")

# A closed list: an account must enable each region of the commercial partition that opened after March 2019.
_ALWAYS_ON = {
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
    *("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
}


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition. `dualstack` is None where registries have no dual-stack names."""

    id: str
    suffix: str
    dualstack: str | None
    regions: str  # a pattern


PARTITIONS = (
    Partition("aws", "amazonaws.com", "on.aws", r"(us|eu|ap|sa|ca|me|af|il|mx)-\w+-\d+"),
    Partition("aws-cn", "amazonaws.com.cn", "on.amazonwebservices.com.cn", r"cn-\w+-\d+"),
    Partition("aws-us-gov", "amazonaws.com", "on.aws", r"us-gov-\w+-\d+"),
    Partition("aws-eusc", "amazonaws.eu", None, r"eusc-de-\w+-\d+"),
    Partition("aws-iso", "c2s.ic.gov", None, r"us-iso-\w+-\d+"),
    Partition("aws-iso-b", "sc2s.sgov.gov", None, r"us-isob-\w+-\d+"),
    Partition("aws-iso-e", "cloud.adc-e.uk", None, r"eu-isoe-\w+-\d+"),
    Partition("aws-iso-f", "csp.hci.ic.gov", None, r"us-isof-\w+-\d+"),
)


def of_region(region: str) -> Partition | None:
    """The partition of a region; None for an unknown kind of region."""
    return next((partition for partition in PARTITIONS if re.fullmatch(partition.regions, region)), None)


def of_suffix(suffix: str) -> tuple[Partition, ...]:
    """The partitions whose registries have this domain."""
    return tuple(partition for partition in PARTITIONS if suffix in (partition.suffix, partition.dualstack))


def is_of_aws(host: str) -> bool:
    """Whether a host's name is AWS's own: that of a service, or of a VPC's endpoint for one."""
    domains = {domain for partition in PARTITIONS for domain in (partition.suffix, partition.dualstack) if domain}
    return any(host.endswith(f".{domain}") for domain in domains)


def is_opt_in(region: str) -> bool:
    """Whether an account must enable the region before it can use it."""
    partition = of_region(region)
    return partition is not None and partition.id == "aws" and region not in _ALWAYS_ON
