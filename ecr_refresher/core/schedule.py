"""When a credential is renewed, when a failure is retried, and how long a pass may take. Pure.

`roll` is always a number drawn evenly from [0, 1).
"""

from .model import Failure, Reason
from .plan import Refresh

DEFAULT_LIFE_S = 12 * 3600.0  # of ECR's tokens today; used until a token has shown its own life
DENIED_FIRST_S = 60.0
REFUSED_LOGIN_S = 300.0  # 12 tries an hour: more may lock the account
PAUSE_MIN_S = 1.0
RETRY_AFTER_MAX_S = 3600.0  # a server that asks for more is asked again after this
PASS_MIN_S = 15.0  # enough for a far server; a slot with less than a minute to live must not cut all others short

# A draw is `roll ** (1 / SKEW)`: most daemons draw late, few early. The gap between the first and the second of
# n daemons is about n ** (-1 / SKEW) / SKEW of the range, widest near SKEW = ln n; 6 serves 50 to 10,000 of them.
SKEW = 6


def renewal_at(issued_at: float, expires_at: float, rules: Refresh, roll: float) -> float:
    """When a credential is due for renewal, never after its expiry."""
    life = expires_at - issued_at
    drawn = 2.0 * float(roll ** (1 / SKEW)) - 1.0
    due = issued_at + life * (rules.at_fraction + rules.jitter * drawn)
    if rules.max_age is not None:
        due = min(due, issued_at + rules.max_age)
    return max(issued_at, min(due, expires_at))


def retry_pause(failure: Failure, tries: int, left_s: float, rules: Refresh, roll: float) -> float:
    """The pause before the next try, after `tries` failures in a row (1 after the first).

    `left_s` is the life left in what the slot holds, 0 or less when there is none. It shortens every pause but that
    after a refused login: faster tries fix nothing there, and may lock the account. Where the server said
    `Retry-After`, the pause is that, plus the usual spread: many clients may have got the same answer.
    """
    if failure.login_refused:
        return REFUSED_LOGIN_S * (1.0 + 0.1 * roll)
    first = max(rules.retry_first, DENIED_FIRST_S) if failure.reason is Reason.DENIED else rules.retry_first
    longest = max(first, min(max(rules.retry_max, first), first * 2.0 ** min(tries, 32)))
    spread = (longest - first) * roll
    if failure.retry_after_s is not None:
        first = min(max(failure.retry_after_s, 0.0), RETRY_AFTER_MAX_S)
    return hurried(first + spread, left_s)


def hurried(pause_s: float, left_s: float) -> float:
    """The pause, but at most a quarter of the life that is left."""
    return max(PAUSE_MIN_S, min(pause_s, left_s / 4) if left_s > 0 else pause_s)


def pass_limit(rules: Refresh, lives_left: list[float]) -> float:
    """How long a pass may take: the deadline, or a quarter of the shortest life left, so that a hung pass does no harm.

    A life only counts down to `PASS_MIN_S`.
    """
    shortest = min((left for left in lives_left if left > 0), default=float("inf"))
    return min(rules.deadline, max(PASS_MIN_S, shortest / 4))


def clamp_offset(offset: float, sent: float, answered: float, date: float) -> float:
    """AWS's time minus the boot clock, after an answer with this `Date` (in whole seconds, cut off).

    The known offset stays wherever the answer allows it: `Date` is coarser than a good clock.
    """
    lowest, highest = date - answered, date + 1.0 - sent
    return min(max(offset, lowest), highest)
