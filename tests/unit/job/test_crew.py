"""Children that fetch and prove for a pass over very many principals."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from msgspec import structs

from ecr_refresher import logs
from ecr_refresher.core import wire
from ecr_refresher.core.model import Credential, Failed, Reason, Secret
from ecr_refresher.core.plan import DockerConfig, Plan, Principal, Registry, Role
from ecr_refresher.job import worker
from ecr_refresher.job.aws import crew
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.aws.crew import Crew
from ecr_refresher.job.net.proof import Refused
from ecr_refresher.job.refresh.tools import RealTools
from tests.testbed.processes import wait_until

# A test runner of many processes has a thread of its own, which Python from 3.12 on warns of. No child needs it.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

T = TypeVar("T")
SECRET = "a-token-that-nobody-may-see"
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")


def registry(number: int, region: str = REGIONS[0]) -> Registry:
    role = Role(f"arn:aws:iam::{210987654300 + number}:role/ecr-pull")
    host = f"{210987654300 + number}.dkr.ecr.{region}.amazonaws.com"
    return Registry(host, host, Principal("ecr", region, (role,)))


REGISTRIES = tuple(registry(number, region) for number in range(12) for region in REGIONS)


class Calls:
    """What the children do: each token tells by whom it was fetched, and for whom."""

    def __init__(self, fetching: Callable[[Principal], object] = lambda _: None) -> None:
        self.clock = AwsClock()
        self.fetching = fetching

    def fetch(self, principal: Principal) -> Credential:
        self.fetching(principal)
        return Credential("AWS", Secret(f"{SECRET} {os.getpid()} {principal.key}"), 1000.0, 2000.0)

    def prove(self, proved: Registry, credential: Credential) -> None:
        if credential.secret.reveal() != f"{SECRET} {os.getpid()} {proved.principal.key}":
            raise Failed(Reason.INVALID, "this child has not fetched that")
        if proved.principal.region == REGIONS[2]:
            raise Refused


def with_crew(work: Callable[[Crew], Coroutine[Any, Any, T]], calls: Calls | None = None, children: int = 3) -> T:
    made = Crew(calls or Calls(), REGISTRIES, children, fetches=12, proofs=6)

    async def run() -> T:
        async with made:
            return await work(made)

    return asyncio.run(run())


def child_of(credential: Credential) -> int:
    return int(credential.secret.reveal().split()[1])


def raise_(error: Exception) -> None:
    raise error


def hang(_: object) -> None:
    time.sleep(60)


def test_each_principal_is_fetched_by_a_child_and_all_that_share_a_role_by_the_same_one() -> None:
    async def work(made: Crew) -> list[Credential]:
        return await asyncio.gather(*(made.fetch(one.principal) for one in REGISTRIES))

    fetched = with_crew(work)
    by = [child_of(credential) for credential in fetched]
    assert os.getpid() not in by
    assert len(set(by)) == 3
    assert all(len(set(by[place : place + 3])) == 1 for place in range(0, len(by), 3))
    assert [credential.secret.reveal().split(" ", 2)[2] for credential in fetched] == [
        one.principal.key for one in REGISTRIES
    ]
    assert {(credential.username, credential.issued_at, credential.expires_at) for credential in fetched} == {
        ("AWS", 1000.0, 2000.0)
    }


def test_chains_that_all_begin_with_one_hub_are_shared_out() -> None:
    hub = Role("arn:aws:iam::123456789012:role/hub")
    many = [registry(number) for number in range(500)]
    chains = [structs.replace(one.principal, roles=(hub, *one.principal.roles)) for one in many]
    for principals in ([one.principal for one in many], chains):
        shares = Counter(crew._whose(principal) % 2 for principal in principals)
        assert shares.keys() == {0, 1}
        assert min(shares.values()) > 200


def test_children_share_no_connection_which_would_bring_them_each_others_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The own registry is found out by a call of AWS before they are forked."""
    closed, when_forked = list[bool](), list[object]()
    registries = tuple(registry(number) for number in range(crew.WORTH_IT))
    files = DockerConfig("/home/airflow/.docker/config.json", tuple(one.name for one in registries))
    many = Plan(registries, dockers=(files,))
    tools = RealTools(many, AwsClock(), lambda _: None)
    tools._aws = SimpleNamespace(close=lambda: closed.append(True))  # type: ignore[assignment]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(crew, "Crew", lambda *_, **__: when_forked.append(tools._aws))
    worker._crew(wire.Job(1, 1e12), many, tools)
    assert (closed, when_forked) == ([True], [None])


def test_a_token_is_proved_by_the_child_that_has_fetched_it() -> None:
    async def work(made: Crew) -> list[object]:
        fetched = await asyncio.gather(*(made.fetch(one.principal) for one in REGISTRIES))
        proofs = (made.prove(*pair) for pair in zip(REGISTRIES, fetched, strict=True))
        return await asyncio.gather(*proofs, return_exceptions=True)

    said = with_crew(work)
    assert [type(one) for one in said] == [type(None), type(None), Refused] * 12


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (Failed(Reason.THROTTLED, "told to come later"), Reason.THROTTLED, "told to come later"),
        (ValueError(SECRET), Reason.INTERNAL, "ValueError at test_crew.py"),
    ],
)
def test_what_fails_there_is_raised_here_without_the_values_of_what_nobody_expected(
    error: Exception, reason: Reason, message: str
) -> None:
    async def work(made: Crew) -> None:
        await made.fetch(REGISTRIES[0].principal)

    with pytest.raises(Failed) as raised:
        with_crew(work, Calls(lambda _: raise_(error)))
    assert raised.value.failure.reason is reason
    assert message in raised.value.failure.message
    assert SECRET not in raised.value.failure.message


def test_a_child_that_dies_fails_what_it_was_asked_at_once_and_no_other() -> None:
    async def work(made: Crew) -> tuple[int, int]:
        alive = await asyncio.gather(*(made.fetch(one.principal) for one in REGISTRIES))
        dead = child_of(alive[0])
        os.kill(dead, signal.SIGKILL)
        said = await asyncio.gather(*(made.fetch(one.principal) for one in REGISTRIES), return_exceptions=True)
        again = await asyncio.gather(made.fetch(REGISTRIES[0].principal), return_exceptions=True)
        for before, one in zip(alive, [*said], strict=True):
            if child_of(before) == dead:
                assert isinstance(one, Failed)
                assert one.failure.reason is Reason.INTERNAL
                assert "has ended" in one.failure.message
            else:
                assert isinstance(one, Credential)
        assert isinstance(again[0], Failed)
        return sum(isinstance(one, Failed) for one in said), len(said)

    failed, asked = with_crew(work)
    assert 0 < failed < asked


def test_no_child_and_no_descriptor_is_left_whatever_they_were_doing() -> None:
    before = set(os.listdir("/proc/self/fd"))
    made = Crew(Calls(hang), REGISTRIES, 2, fetches=4, proofs=2)
    children = list(made._children)

    async def run() -> None:
        async with made:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(made.fetch(REGISTRIES[0].principal), 0.2)

    asyncio.run(run())
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert set(os.listdir("/proc/self/fd")) <= before


def test_children_end_by_themselves_when_their_parent_is_gone() -> None:
    made = Crew(Calls(hang), REGISTRIES, 2, fetches=4, proofs=2)
    for line in made._lines:
        line.close()
    for child in made._children:
        assert os.waitpid(child, 0)[1] == 0


def test_the_time_that_a_child_has_measured_and_the_tokens_to_hide_are_known_here_too() -> None:
    told: list[tuple[float, float]] = []
    calls = Calls()
    teller = os.getpid()

    def tell(offset: float, skew: float) -> None:
        assert os.getpid() == teller, "the parent tells, for all"
        told.append((offset, skew))

    calls.clock = AwsClock(on_change=tell)
    calls.fetching = lambda _: calls.clock.adopt(12.5 + os.getpid() * 1e-9)  # no two measure quite the same

    async def work(made: Crew) -> Credential:
        await asyncio.gather(*(made.fetch(one.principal) for one in REGISTRIES))
        return await made.fetch(REGISTRIES[0].principal)

    token = with_crew(work, calls).secret.reveal()
    assert [offset for offset, _ in told] == [pytest.approx(12.5, abs=0.01)]
    assert calls.clock.offset == told[0][0]
    for form in (token, base64.b64encode(f"AWS:{token}".encode()).decode()):
        assert form not in logs.redact(f"it is {form}!")


def test_where_no_process_can_be_made_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    fork, forks = os.fork, list[int]()

    def one_only() -> int:
        if forks:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        forks.append(fork())
        return forks[0]

    before = set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "fork", one_only)
    with pytest.raises(OSError, match="Resource temporarily unavailable"):
        Crew(Calls(), REGISTRIES, 3, fetches=4, proofs=2)
    wait_until(lambda: not Path(f"/proc/{forks[0]}").exists(), 10, "the end of the one that was made")
    assert set(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize(
    ("principals", "cores", "children"), [(1000, 2, 2), (249, 2, 0), (250, 3, 2), (1000, 1, 0), (1000, 64, 2)]
)
def test_there_are_two_children_where_there_are_many_principals_and_cores_for_them(
    monkeypatch: pytest.MonkeyPatch, principals: int, cores: int, children: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert crew.children_for(principals) == children
