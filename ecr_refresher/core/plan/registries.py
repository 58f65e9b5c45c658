"""ECR registries, and whose rights their tokens carry."""

import zlib
from collections.abc import Iterator
from typing import Literal

from ..ecr import host as ecr_host
from ..ecr.host import EcrHost
from ..model import Record

PRIVATE, PUBLIC = "ecr", "ecr-public"
OWN = "default"  # the name of the caller's own registry while its host is not known


class Role(Record, frozen=True):
    """One role to assume, with its external id and session name."""

    arn: str
    external_id: str | None = None
    session_name: str | None = None


class Principal(Record, frozen=True):
    """Whose rights a token carries, and where it is fetched. One fetch serves all its registries.

    Equal principals share their tokens, so everything that makes a difference to AWS, or on the way there, is a field.
    None for `use_fips` and `use_dualstack` leaves them to botocore's variables and profiles.
    """

    service: Literal["ecr", "ecr-public"]
    region: str
    roles: tuple[Role, ...] = ()  # a chain: each is assumed with the keys of the one before
    profile: str | None = None
    endpoint_url: str | None = None
    use_fips: bool | None = None
    use_dualstack: bool | None = None
    ca_file: str | None = None

    @property
    def key(self) -> str:
        """Its name in logs: stable across passes, and different for every principal."""
        roles = "".join(f"/{role.arn}" for role in self.roles)
        return f"{self.service}/{self.region}{roles}" + "".join(f" {more}" for more in self._particulars())

    def _particulars(self) -> Iterator[str]:
        for number, role in enumerate(self.roles, 1):
            if role.external_id is not None:  # hashed: vendors hand them out in confidence
                yield f"external_id_{number}=#{zlib.crc32(role.external_id.encode()):08x}"
            if role.session_name is not None:
                yield f"session_{number}={role.session_name}"
        for name in ("profile", "endpoint_url", "use_fips", "use_dualstack", "ca_file"):
            if (value := getattr(self, name)) is not None:
                yield f"{name}={value}"


class Registry(Record, frozen=True):
    """One ECR registry. `host` is empty while the caller's own registry is not known.

    `account` is set for a custom domain in front of ECR, whose host does not say the account and the region.
    """

    name: str
    host: str
    principal: Principal
    required: bool = True
    probe_image: str | None = None
    registry_url: str | None = None
    ca_file: str | None = None
    aliases: bool = False  # files also get the login under the registry's other names
    alias_of: str | None = None  # the name of the registry that this is an alias of
    account: str | None = None

    @property
    def ecr(self) -> EcrHost:
        """The registry behind the host: its account, region and partition. Raises ValueError without a host."""
        if self.account is None:
            return ecr_host.parse(self.host)
        return ecr_host.of_account(self.account, self.principal.region)
