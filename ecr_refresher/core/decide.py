"""Whether what a slot holds is good enough, and whether a credential may be written over it. All pure.

Daemon, job and simulation ask the same two questions of the same page.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .model import Credential, Holding
from .plan import Refresh
from .schedule import DEFAULT_LIFE_S

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
        """Somebody else's doing, where we had known better there."""
        return self in (Need.MISSING, Need.UNBELIEVABLE, Need.SPOILED)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the asker knows of a slot: what should be there, and whether that is due by the asker's own draw."""

    until: float | None = None
    due: bool = False


def believed(holding: Holding, now: float, life: float) -> bool:
    """A record that reaches further than a token issued this moment could is wrong, foreign or malicious.

    One short-lived token does not show that all are: what ECR grants by default is believed of others in any case.
    """
    longest = max(life, DEFAULT_LIFE_S) + BELIEVABLE_GRACE_S
    return holding.until is not None and (holding.own_record or holding.until <= now + longest)


def need(
    holding: Holding, expected: Expectation, now: float, life: float, rules: Refresh, *, force: bool = False
) -> Need:
    """Tell whether a slot needs a credential now.

    A holding is fresh while more than `1 - at_fraction` of a life is left. The asker's own draw may be earlier or
    later than that, but binds only what it was drawn for: what somebody else wrote since is judged by the rule, so
    that the first of many daemons to act spares all others.
    """
    if force:
        return Need.FORCED
    if holding.until is None:
        return Need.MISSING
    if not believed(holding, now, life):
        return Need.UNBELIEVABLE
    left = holding.until - now
    if left <= 0:
        return Need.EXPIRED
    known = expected.until is not None and abs(holding.until - expected.until) <= tolerance(life)
    if expected.until is not None and not known and holding.until < expected.until and expected.until > now:
        return Need.SPOILED
    if known:
        return Need.DUE if expected.due else Need.NONE
    too_old = rules.max_age is not None and life - left >= rules.max_age
    return Need.NONE if left > (1 - rules.at_fraction) * life and not too_old else Need.DUE


def tolerance(life: float) -> float:
    """How far two expiries may lie apart and still be as good: two daemons that race fetch within a moment."""
    return min(60.0, life / 50)


def is_worse(credential: Credential, holding: Holding, now: float, life: float) -> bool:
    """A credential that ends earlier than what is held must not replace it, unless that is dead or unbelievable."""
    if holding.until is None or holding.until <= now or not believed(holding, now, life):
        return False
    return credential.expires_at < holding.until


def may_be_refused(holding: Holding, now: float, life: float) -> bool:
    """Whether a registry's refusal of a new token may keep it out: only while the old one has a good while to live."""
    return holding.until is not None and holding.until - now > LAST_QUARTER * life
