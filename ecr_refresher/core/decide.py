"""Whether a slot needs a credential, and whether one may be written over what it holds. Pure.

Daemon, job and simulation share these answers.
"""

from enum import StrEnum

from .model import Credential, Holding
from .plan import Refresh
from .schedule import DEFAULT_LIFE_S
from .wire import Order

BELIEVABLE_GRACE_S = 600.0
LAST_QUARTER = 0.25


class Need(StrEnum):
    """Why a slot needs a credential, or that it needs none."""

    NONE = "fresh"
    FORCED = "asked for"
    MISSING = "nothing usable there"
    EXPIRED = "expired"
    UNBELIEVABLE = "recorded expiry is later than any token's could be"
    DUE = "due for renewal"
    SPOILED = "older than what was written"

    @property
    def drift(self) -> bool:
        """Somebody else changed the slot, where we had written something better."""
        return self in (Need.MISSING, Need.UNBELIEVABLE, Need.SPOILED)


def believed(holding: Holding, now: float, life: float) -> bool:
    """Whether the recorded expiry can be right: no fresh token lasts longer than a life.

    `life` may come from one short-lived token, so ECR's default always counts. A record of our own, which matched the
    content, may reach twice as far: the machine's clock may be wrong by hours until AWS has answered. It is not
    believed without bounds, since a file's owner can write it.
    """
    longest = max(life, DEFAULT_LIFE_S)
    slack = longest if holding.own_record else BELIEVABLE_GRACE_S
    return holding.until is not None and holding.until <= now + longest + slack


def need(holding: Holding, order: Order, now: float, life: float, rules: Refresh, *, force: bool = False) -> Need:
    """Return whether and why a slot needs a credential now.

    A holding is fresh while more than `1 - at_fraction` of a life is left. The asker's own draw may be earlier or
    later, but holds only for the expiry that it was drawn for. What another daemon wrote since is judged by the rule,
    so the first of many daemons to act spares all others.
    """
    if force:
        return Need.FORCED
    if holding.until is None:
        return Need.MISSING
    if not believed(holding, now, life):
        return Need.UNBELIEVABLE
    left, expected = holding.until - now, order.expected_until
    if left <= 0:
        return Need.EXPIRED
    if expected is not None:
        if abs(holding.until - expected) <= tolerance(life):
            return Need.DUE if order.due else Need.NONE
        if holding.until < expected and expected > now:
            return Need.SPOILED
    too_old = rules.max_age is not None and life - left >= rules.max_age
    return Need.NONE if left > (1 - rules.at_fraction) * life and not too_old else Need.DUE


def tolerance(life: float) -> float:
    """How far two expiries may differ and still count as equal: two daemons that race fetch within a moment."""
    return min(60.0, life / 50)


def is_worse(credential: Credential, holding: Holding, now: float, life: float) -> bool:
    """Whether the credential ends earlier than what the slot holds, and that is alive and believed."""
    if holding.until is None or holding.until <= now or not believed(holding, now, life):
        return False
    return credential.expires_at < holding.until


def may_be_refused(holding: Holding, now: float, life: float) -> bool:
    """Whether a registry's refusal keeps a new token out: only while the old one has more than a quarter to live."""
    return holding.until is not None and holding.until - now > LAST_QUARTER * life
