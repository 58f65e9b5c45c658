"""Keys of roles: asked for once, by whoever comes first, and again five minutes before their end."""

from __future__ import annotations

import threading

import pytest

from ecr_refresher.core.model import Failed, Reason, Secret
from ecr_refresher.job.aws.assumed_roles import AssumedRoles, Keys


class Sts:
    """Gives keys that end at `ends_at`; counts, and waits for `go` before it answers."""

    def __init__(self, ends_at: float = 3600.0) -> None:
        self.ends_at, self.asked = ends_at, 0
        self.go = threading.Event()
        self.go.set()

    def __call__(self) -> Keys:
        self.asked += 1
        assert self.go.wait(10)
        return Keys("ASIA", Secret("secret"), Secret("token"), self.ends_at)


def test_keys_are_kept_until_five_minutes_before_their_end() -> None:
    now = 0.0
    roles, sts = AssumedRoles(lambda: now), Sts()
    first = roles.get("role", sts)
    now = 3299.0
    assert roles.get("role", sts) is first
    now = 3300.0
    sts.ends_at = 7200.0
    assert roles.get("role", sts) is not first
    assert sts.asked == 2


def test_many_at_once_ask_once_and_do_not_hold_up_another_role() -> None:
    roles, slow, quick = AssumedRoles(lambda: 0.0), Sts(), Sts()
    slow.go.clear()
    threads = [threading.Thread(target=roles.get, args=("slow", slow)) for _ in range(20)]
    for thread in threads:
        thread.start()
    roles.get("quick", quick)  # while twenty wait
    slow.go.set()
    for thread in threads:
        thread.join(10)
    assert (slow.asked, quick.asked) == (1, 1)


def test_a_refusal_is_kept_for_the_pass() -> None:
    asked = []

    def refuse() -> Keys:
        asked.append(1)
        raise Failed(Reason.DENIED, "no")

    roles = AssumedRoles(lambda: 0.0)
    for _ in range(3):
        with pytest.raises(Failed, match="no"):
            roles.get("role", refuse)
    assert len(asked) == 1


def test_keys_show_nothing_of_themselves() -> None:
    assert "ASIA" not in repr(Keys("ASIA", Secret("a"), Secret("b"), 1.0))
