"""What all legs of a check share: the plan, the tools of a pass, and the tokens that earlier legs fetched."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ...core import schedule
from ...core.model import Credential, Holding
from ...core.plan import Plan, Principal, Registry
from ..refresh.tools import RealTools
from . import held
from .findings import Finding
from .trying import Key

OWN_REGISTRY: Key = ("own registry", "default")


@dataclass(slots=True)
class Checkup:
    """`credentials` are tokens by their principals' keys. They are only tried, and delivered nowhere."""

    plan: Plan
    tools: RealTools
    credentials: dict[str, Credential] = field(default_factory=dict)
    reader: bool = False  # try what a reader of the logins on this machine sees

    @property
    def principals(self) -> tuple[Principal, ...]:
        return tuple(dict.fromkeys(registry.principal for registry in self.plan.registries))

    def registries(self, names: Iterable[str] | None = None) -> Iterator[Registry]:
        """The registries of these names, by default all. Aliases are left out: they are not tried."""
        every = self.plan.registries if names is None else map(self.plan.registry, names)
        return (one for one in every if one.alias_of is None)

    def freshness(self, registry: Registry, holding: Holding) -> Finding:
        """Until when what a slot holds for this registry is good. Tokens live as long as the one that was fetched."""
        credential = self.credentials.get(registry.principal.key)
        life = holding.life or (credential.life if credential else schedule.DEFAULT_LIFE_S)
        return held.freshness(holding, self.tools.clock.now(), life, self.plan.refresh)


def needs_host(registry: Registry) -> tuple[Key, ...]:
    """What a leg comes after that needs the registry's host: where the settings name none, AWS must have said it."""
    return () if registry.host else (OWN_REGISTRY,)


def token_key(principal: Principal) -> Key:
    return "token", principal.key
