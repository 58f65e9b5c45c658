"""The leg of a pull secret: what a kubelet would find there, judged as any other login."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from ecr_refresher.core.plan import KubernetesSecret, Plan, Principal, Registry
from ecr_refresher.job.doctor.checkup import Checkup
from ecr_refresher.job.doctor.findings import Finding, Verdict
from ecr_refresher.job.doctor.legs import kubernetes
from ecr_refresher.job.refresh.tools import RealTools
from ecr_refresher.job.sinks.kubernetes.pull_secret import Examination

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
NOW, HOUR = 1_800_000_000.0, 3600.0


def findings(seen: Examination) -> list[Finding]:
    plan = Plan(
        (Registry(HOST, HOST, Principal("ecr", "us-east-1")),),
        kubernetes=(KubernetesSecret("ecr-pull", (HOST,), ("jobs",)),),
    )
    secret = SimpleNamespace(examine={HOST: seen}.__getitem__)
    tools = SimpleNamespace(clock=SimpleNamespace(now=lambda: NOW), pull_secret=lambda *_: secret)
    legs = kubernetes.legs(Checkup(plan, cast("RealTools", tools)))
    (leg,) = (leg for leg in legs if leg.name == "secret")
    assert ("token", "ecr/us-east-1") in leg.waits_for, "which says how long tokens live"
    return list(leg.act())


@pytest.mark.parametrize(
    ("seen", "verdict", "said"),
    [
        (Examination(False), Verdict.WARNING, "does not exist yet"),
        (Examination(True), Verdict.WARNING, "whose expiry is known"),
        (Examination(True, NOW - HOUR), Verdict.FAILED, "expired at"),
        (Examination(True, NOW + HOUR), Verdict.WARNING, "should have been renewed"),
        (Examination(True, NOW + 100 * HOUR), Verdict.WARNING, "later than any token does"),
        (Examination(True, NOW + 12 * HOUR), Verdict.OK, "good until"),
    ],
)
def test_its_login_is_judged(seen: Examination, verdict: Verdict, said: str) -> None:
    (found,) = findings(seen)
    assert (found.verdict, said in found.text) == (verdict, True), found


def test_a_longer_entry_that_a_kubelet_prefers_is_named() -> None:
    login, entry = findings(Examination(True, NOW + 12 * HOUR, (f"{HOST}/team",)))
    assert (login.verdict, entry.verdict) == (Verdict.OK, Verdict.WARNING)
    assert f"{HOST}/team" in entry.text
    assert f"Remove the entry {HOST}/team" in (entry.fix or "")
