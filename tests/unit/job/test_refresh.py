"""One pass: look, fetch if something needs it, prove, deliver. With tools that only remember what was done to them."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest
import structlog
from msgspec import structs

from ecr_refresher.boot_clock import boot_time
from ecr_refresher.core import budgets, wire
from ecr_refresher.core.model import NOTHING, Credential, Failed, Failure, Holding, Outcome, Reason, Secret
from ecr_refresher.core.plan import Airflow, Connection, DockerConfig, Engine, Plan, Principal, Refresh, Registry, Slot
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.net.proof import Refused
from ecr_refresher.job.refresh.refresh_pass import RefreshPass

T = TypeVar("T", bound=wire.Line)
NOW, LIFE, H = 1_800_000_000.0, 43_200.0, 3600.0
HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
PARTNER = "210987654321.dkr.ecr.us-east-1.amazonaws.com"
ENGINE = Engine("unix:///var/run/docker.sock")
OWN = Principal("ecr", "us-east-1")
DOCKER, AIRFLOW = ("docker//config.json", "own"), ("airflow/default/c0", "own")
SECRET = "the-token-that-nobody-may-see"
FRESH, DUE, EXPIRED = Holding(NOW + 10 * H), Holding(NOW + 3.5 * H), Holding(NOW - 1)
LAST_QUARTER = Holding(NOW + 2 * H)


def plan(
    connections: int = 1,
    *,
    rules: Refresh | None = None,
    engine: bool = False,
    probe: bool = False,
    owner: int | None = None,
) -> Plan:
    """One registry in one file and some Airflow connections."""
    own = Registry("own", HOST, OWN, probe_image="web_scraper:latest" if probe else None)
    return Plan(
        (own,),
        (Airflow("default", "https://airflow", tuple(Connection(f"c{n}", "own") for n in range(connections))),),
        (DockerConfig("/config.json", ("own",), engine=ENGINE if engine else None, uid=owner),),
        rules or Refresh(),
    )


@dataclass
class FakeSink:
    """Holds what it is told to; `look` and `deliver` may be made to fail or hang."""

    holds: Holding = NOTHING
    looking: Callable[[], object] = lambda: None
    delivering: Callable[[], object] = lambda: None
    found_at_write: Holding | None = None  # what somebody else wrote between look and write
    got: list[Credential] = field(default_factory=list)
    looks: int = 0
    attach: None = None

    def look(self) -> Holding:
        self.looks += 1
        self.looking()
        return self.holds

    def deliver(self, credential: Credential, still_wanted: Callable[[Holding], bool]) -> tuple[Outcome, str | None]:
        self.delivering()
        if self.found_at_write is not None and not still_wanted(self.found_at_write):
            self.holds = self.found_at_write
            return Outcome.SKIPPED, None
        self.got.append(credential)
        return Outcome.WRITTEN, "witness 2"


class World:
    """The tools of a pass: ECR, the registry, the engine and the sinks, each doing as it is told."""

    def __init__(self) -> None:
        self.clock = AwsClock(NOW, boot=lambda: 0.0)
        self.sinks: dict[tuple[str, str], FakeSink] = {}
        self.lines: list[wire.Line] = []
        self.done: list[str] = []  # in the order in which it was
        self.life = LIFE
        self.fetching: Callable[[], object] = lambda: None
        self.proving: Callable[[Credential], object] = lambda _: None
        self.probing: Callable[[], object] = lambda: None
        self.logging_in: Callable[[], object] = lambda: None
        self.released = threading.Event()
        self.looked_at = threading.Event()  # once any slot has been looked at

    def sink_of(self, slot_id: tuple[str, str]) -> FakeSink:
        return self.sinks.setdefault(slot_id, FakeSink())

    # --- the port ----------------------------------------------------------------------------------------------------
    def fetch(self, principal: Principal) -> Credential:
        self.done.append("fetch")
        self.fetching()
        return Credential("AWS", Secret(SECRET), NOW, NOW + self.life)

    def prove(self, registry: Registry, credential: Credential) -> None:
        self.done.append("prove")
        self.proving(credential)

    def probe(self, registry: Registry, credential: Credential) -> None:
        self.done.append("probe")
        self.probing()

    def engine_login(self, engine: Engine, host: str, credential: Credential) -> None:
        self.done.append(f"engine {host}")
        self.logging_in()

    def sink(self, slot: Slot, registry: Registry) -> FakeSink:
        return self.sink_of(slot.id)

    def report(self, line: wire.Line) -> None:
        self.lines.append(line)
        if isinstance(line, wire.Looked):
            self.looked_at.set()
        if isinstance(line, wire.Delivered):
            self.done.append("delivered")

    # --- what came of it ---------------------------------------------------------------------------------------------
    def hold(self, holding: Holding, *slot_ids: tuple[str, str]) -> World:
        for slot_id in slot_ids or (DOCKER, AIRFLOW):
            self.sink_of(slot_id).holds = holding
        return self

    def run(
        self,
        of: Plan | None = None,
        *orders: wire.Order,
        unresolved: Failure | None = None,
        **job: Any,
    ) -> World:
        of = of or plan()
        given = wire.Job(7, job.pop("ends_at", 60.0), plan=of, orders=orders or None, **job)
        asyncio.run(RefreshPass(given, of, self, unresolved).run())
        return self

    def said(self, kind: type[T]) -> list[T]:
        return [line for line in self.lines if isinstance(line, kind)]

    def delivered(self, slot_id: tuple[str, str] = DOCKER) -> wire.Delivered:
        (line,) = [line for line in self.said(wire.Delivered) if (line.sink, line.registry) == slot_id]
        return line

    def failure(self, slot_id: tuple[str, str] = DOCKER) -> Failure:
        line = self.delivered(slot_id)
        assert line.outcome is Outcome.FAILED
        assert line.failure is not None
        return line.failure


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    with structlog.testing.capture_logs() as logged:
        yield world
    world.released.set()
    assert SECRET not in repr(logged)
    assert SECRET not in repr(world.lines)


def fails(reason: Reason = Reason.TRANSIENT, message: str = "it did not work") -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise Failed(reason, message)

    return fail


def raises(error: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


# --- look first ------------------------------------------------------------------------------------------------------
def test_what_is_fresh_burns_no_token(world: World) -> None:
    world.hold(FRESH).run()
    assert world.done == ["delivered", "delivered"]
    assert {line.outcome for line in world.said(wire.Delivered)} == {Outcome.SKIPPED}
    assert {line.until for line in world.said(wire.Delivered)} == {FRESH.until}
    assert [line.needed for line in world.said(wire.Looked)] == [False, False]


def test_our_own_fresh_record_is_unchanged_and_somebody_else_s_is_skipped(world: World) -> None:
    world.hold(replace(FRESH, own_record=True), DOCKER).hold(FRESH, AIRFLOW).run()
    assert world.delivered(DOCKER).outcome is Outcome.UNCHANGED
    assert world.delivered(AIRFLOW).outcome is Outcome.SKIPPED


def test_what_is_found_as_expected_is_worth_no_more_than_the_look(world: World) -> None:
    world.hold(FRESH).run(plan(), wire.Order(*DOCKER, expected_until=FRESH.until))
    assert world.said(wire.Delivered) == []
    (looked,) = world.said(wire.Looked)
    assert (looked.needed, looked.why, looked.until) == (False, "fresh", FRESH.until)


def test_settings_read_anew_may_have_further_slots_and_the_known_ones_are_expected_to_hold_what_they_did(
    world: World,
) -> None:
    """Somebody slower had written something older since: still good, but not what was there."""
    known = wire.Order(*AIRFLOW, expected_until=FRESH.until and FRESH.until + LIFE / 10)
    world.hold(FRESH).run(plan(), known, load=wire.Load())
    assert {(line.sink, line.registry): line.needed for line in world.said(wire.Looked)} == {
        DOCKER: False,
        AIRFLOW: True,
    }
    assert world.delivered(AIRFLOW).repaired


def test_only_what_is_ordered_is_looked_at(world: World) -> None:
    world.run(plan(), wire.Order(*AIRFLOW), wire.Order("docker//gone", "own"))
    assert set(world.sinks) == {AIRFLOW}


def test_a_look_that_fails_is_the_slot_s_failure_and_asks_for_no_token(world: World) -> None:
    for slot_id in (DOCKER, AIRFLOW):
        world.sink_of(slot_id).looking = fails(Reason.DENIED, "the password is wrong; correct it")
    world.run()
    assert world.failure() == Failure(Reason.DENIED, "the password is wrong; correct it")
    assert "fetch" not in world.done
    assert world.said(wire.Looked) == []


@pytest.mark.parametrize(
    ("holding", "why"),
    [
        (NOTHING, "nothing usable there"),
        (EXPIRED, "expired"),
        (DUE, "due for renewal"),
        (Holding(NOW + 99 * H), "recorded expiry is later than any token's could be"),
    ],
)
def test_what_is_needed_is_said_and_delivered(world: World, holding: Holding, why: str) -> None:
    world.hold(holding).run()
    assert {line.why for line in world.said(wire.Looked)} == {why}
    assert {line.outcome for line in world.said(wire.Delivered)} == {Outcome.WRITTEN}


@pytest.mark.parametrize("force", [False, True])
def test_an_unbelievable_expiry_is_not_reported_as_held(world: World, force: bool) -> None:
    world.hold(Holding(NOW + 99 * H), DOCKER).run(plan(), wire.Order(*DOCKER), force=force)
    assert [line.until for line in world.said(wire.Looked)] == [None]


# --- one fetch for all -----------------------------------------------------------------------------------------------
def test_one_token_serves_all_slots_of_a_principal(world: World) -> None:
    world.run(plan(connections=5))
    assert world.done.count("fetch") == 1
    assert world.done.count("prove") == 1
    given = [sink.got for sink in world.sinks.values()]
    assert len(given) == 6
    assert len({id(credential) for (credential,) in given}) == 1
    assert world.said(wire.Fetched)[0].expires_at == NOW + LIFE


def test_two_registries_of_one_principal_share_the_token_and_are_proved_each(world: World) -> None:
    two = structs.replace(
        plan(),
        registries=(Registry("own", HOST, OWN), Registry("partner", PARTNER, OWN)),
        dockers=(DockerConfig("/config.json", ("own", "partner")),),
    )
    world.run(two)
    assert (world.done.count("fetch"), world.done.count("prove")) == (1, 2)


def test_the_token_s_name_tells_tokens_apart_and_nothing_of_them(world: World) -> None:
    world.run()
    assert {line.token for line in world.said(wire.Delivered)} == {"7.1.ecr/us-east-1"}


def test_one_token_has_one_name_however_many_are_fetched_meanwhile(world: World) -> None:
    other = Principal("ecr", "eu-west-1")
    two = structs.replace(
        plan(),
        registries=(Registry("own", HOST, OWN), Registry("partner", PARTNER, other)),
        dockers=(DockerConfig("/config.json", ("own",)), DockerConfig("/other.json", ("partner",))),
    )
    both_fetched = threading.Barrier(2)
    world.fetching = lambda: both_fetched.wait(20)
    world.sink_of(AIRFLOW).delivering = lambda: world.released.wait(0.2)
    world.run(two)
    names = {line.token for line in world.said(wire.Delivered) if line.registry == "own"}
    assert len(names) == 1


def test_a_failed_fetch_fails_every_slot_that_waited_for_it(world: World) -> None:
    throttled = Failure(Reason.THROTTLED, "AWS asks for fewer requests", "Ask less often", retry_after_s=9.0)
    world.fetching = raises(Failed.of(throttled))
    world.hold(FRESH, ("airflow/default/c1", "own")).run(plan(connections=2))
    (fetched,) = world.said(wire.Fetched)
    assert fetched.failure == throttled
    assert [world.failure(slot_id) for slot_id in (DOCKER, AIRFLOW)] == [throttled, throttled]
    assert [world.delivered(slot_id).attempted for slot_id in (DOCKER, AIRFLOW)] == [False, False]
    assert world.delivered(("airflow/default/c1", "own")).outcome is Outcome.SKIPPED


def test_a_delivery_that_failed_was_attempted(world: World) -> None:
    world.sink_of(AIRFLOW).delivering = fails(Reason.DENIED)
    assert world.run().delivered(AIRFLOW).attempted


def test_one_principal_s_failure_is_not_another_s(world: World) -> None:
    other = Principal("ecr", "eu-west-1")
    two = structs.replace(
        plan(),
        registries=(Registry("own", HOST, OWN), Registry("partner", PARTNER, other)),
        dockers=(DockerConfig("/config.json", ("own", "partner")),),
    )
    real = world.fetch

    def fetch(principal: Principal) -> Credential:
        if principal is other:
            raise Failed(Reason.DENIED, "no right")
        return real(principal)

    world.fetch = fetch  # type: ignore[method-assign]
    world.run(two)
    assert world.delivered(DOCKER).outcome is Outcome.WRITTEN
    assert {line.principal: line.failure is None for line in world.said(wire.Fetched)} == {
        "ecr/us-east-1": True,
        "ecr/eu-west-1": False,
    }


# --- proof -----------------------------------------------------------------------------------------------------------
def test_a_token_that_the_registry_refuses_once_is_fetched_once_more(world: World) -> None:
    seen: list[Credential] = []

    def refuse_the_first(credential: Credential) -> None:
        seen.append(credential)
        if credential is seen[0]:
            raise Refused

    world.proving = refuse_the_first
    world.run()
    assert world.done.count("fetch") == 2
    assert {id(sink.got[0]) for sink in world.sinks.values()} == {id(seen[1])}
    assert [line.failure is None for line in world.said(wire.Proved)] == [False, True]


def test_a_token_refused_twice_is_kept_out_while_the_old_one_is_good(world: World) -> None:
    world.proving = raises(Refused())
    world.hold(DUE).run()
    failure = world.failure()
    assert failure.reason is Reason.INVALID
    assert "the old one stays" in failure.message
    assert HOST in failure.message
    assert world.done.count("fetch") == 2
    assert not any(sink.got for sink in world.sinks.values())


@pytest.mark.parametrize("holding", [NOTHING, EXPIRED, LAST_QUARTER])
def test_a_refused_token_is_better_than_nothing(world: World, holding: Holding) -> None:
    world.proving = raises(Refused())
    world.hold(holding).run()
    assert world.delivered().outcome is Outcome.WRITTEN


def test_who_forces_it_gets_even_a_refused_token(world: World) -> None:
    world.proving = raises(Refused())
    world.hold(DUE).run(force=True)
    assert world.delivered().outcome is Outcome.WRITTEN


@pytest.mark.parametrize(
    "trouble", [fails(Reason.INVALID, "a proxy's 403"), fails(Reason.TRANSIENT), raises(KeyError("some fault of ours"))]
)
def test_any_other_finding_only_warns(world: World, trouble: Callable[..., None]) -> None:
    world.proving = trouble
    world.hold(DUE).run()
    assert {line.outcome for line in world.said(wire.Delivered)} == {Outcome.WRITTEN}
    assert world.done.count("fetch") == 1
    assert [line.failure is None for line in world.said(wire.Proved)] == [False]


def test_a_registry_that_does_not_answer_does_not_hold_up_the_token(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "PROOF_S", 0.05)
    world.proving = lambda _: world.released.wait(60)
    world.run()
    assert world.delivered().outcome is Outcome.WRITTEN
    world.released.set()


def test_proofs_can_be_switched_off(world: World) -> None:
    world.proving = raises(Refused())
    world.run(plan(rules=Refresh(prove=False)))
    assert "prove" not in world.done
    assert world.delivered().outcome is Outcome.WRITTEN


def test_the_engine_and_the_probe_come_after_the_delivery_and_once(world: World) -> None:
    world.run(plan(connections=3, engine=True, probe=True))
    assert world.done.count(f"engine {HOST}") == 1
    assert world.done.count("probe") == 1
    assert world.done.index(f"engine {HOST}") > world.done.index("delivered")
    assert world.done.index("probe") > world.done.index("delivered")
    assert {line.by for line in world.said(wire.Proved)} == {"registry", "probe_image", "engine"}


@pytest.mark.parametrize("trouble", [fails(Reason.DENIED), raises(ValueError("an answer that is no JSON"))])
def test_an_engine_or_probe_that_fails_leaves_the_delivery_as_it_is(world: World, trouble: Callable[..., None]) -> None:
    world.logging_in = world.probing = trouble
    world.run(plan(engine=True, probe=True))
    assert world.delivered(DOCKER).outcome is Outcome.WRITTEN
    assert world.delivered(AIRFLOW).outcome is Outcome.WRITTEN
    by = {line.by: line.failure is None for line in world.said(wire.Proved)}
    assert by == {"registry": True, "engine": False, "probe_image": False}


def test_nothing_is_proved_where_nothing_was_delivered(world: World) -> None:
    world.hold(FRESH).run(plan(engine=True, probe=True))
    assert world.said(wire.Proved) == []


# --- never worse -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("force", [False, True])
def test_an_older_token_never_replaces_a_fresher_one(world: World, force: bool) -> None:
    world.life = 1 * H
    world.hold(replace(DUE, own_record=True)).run(force=force)
    failure = world.failure()
    assert failure.reason is Reason.INVALID
    assert "ends earlier than the one in place, which stays" in failure.message
    assert not world.sink_of(DOCKER).got


def test_a_slot_is_skipped_when_tokens_turn_out_to_live_shorter_than_thought(world: World) -> None:
    # 50 minutes of 12 hours are too few; of one hour they are plenty.
    world.life = 1 * H
    world.hold(Holding(NOW + 3000)).run()
    assert world.delivered().outcome is Outcome.SKIPPED
    assert world.delivered().until == NOW + 3000
    assert not world.sink_of(DOCKER).got


def test_a_life_known_from_before_spares_that_fetch(world: World) -> None:
    world.hold(Holding(NOW + 3000)).run(lives={OWN.key: 1 * H})
    assert "fetch" not in world.done


def test_somebody_who_was_quicker_between_look_and_write_is_left_alone(world: World) -> None:
    world.sink_of(AIRFLOW).found_at_write = Holding(NOW + 11.9 * H)
    world.hold(DUE, AIRFLOW).run(plan(), wire.Order(*AIRFLOW, expected_until=DUE.until, due=True))
    line = world.delivered(AIRFLOW)
    assert (line.outcome, line.until, line.repaired) == (Outcome.SKIPPED, NOW + 11.9 * H, False)


def test_somebody_who_spoils_it_between_look_and_write_is_written_over(world: World) -> None:
    world.sink_of(AIRFLOW).found_at_write = NOTHING
    world.hold(DUE, AIRFLOW).run(plan(), wire.Order(*AIRFLOW, expected_until=DUE.until, due=True))
    assert world.delivered(AIRFLOW).outcome is Outcome.WRITTEN


# --- drift -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("holding", [NOTHING, Holding(NOW + 5 * H), Holding(NOW + 99 * H)])
def test_what_somebody_removed_or_spoiled_is_repaired_and_said_so(world: World, holding: Holding) -> None:
    world.hold(holding).run(plan(), wire.Order(*DOCKER, expected_until=NOW + 9 * H))
    assert world.delivered().repaired


@pytest.mark.parametrize(
    ("holding", "order"),
    [
        (NOTHING, wire.Order(*DOCKER)),  # there was never anything
        (EXPIRED, wire.Order(*DOCKER, expected_until=EXPIRED.until)),
        (DUE, wire.Order(*DOCKER, expected_until=DUE.until, due=True)),
    ],
)
def test_a_first_write_or_a_renewal_is_no_repair(world: World, holding: Holding, order: wire.Order) -> None:
    world.hold(holding).run(plan(), order)
    assert world.delivered().outcome is Outcome.WRITTEN
    assert not world.delivered().repaired


# --- asked for otherwise ---------------------------------------------------------------------------------------------
def test_force_fetches_and_writes_whatever_is_there(world: World) -> None:
    world.hold(FRESH).run(force=True)
    assert {line.outcome for line in world.said(wire.Delivered)} == {Outcome.WRITTEN}
    assert {line.why for line in world.said(wire.Looked)} == {"asked for"}


def test_a_dry_run_looks_and_changes_nothing(world: World) -> None:
    world.hold(NOTHING, DOCKER).hold(FRESH, AIRFLOW).run(dry_run=True)
    assert {(line.sink, line.needed) for line in world.said(wire.Looked)} == {(DOCKER[0], True), (AIRFLOW[0], False)}
    assert "fetch" not in world.done
    assert not any(sink.got for sink in world.sinks.values())


def test_an_own_registry_that_could_not_be_found_out_says_why(world: World) -> None:
    unknown = structs.replace(plan(), registries=(Registry("own", "", OWN),))
    world.run(unknown, unresolved=Failure(Reason.DENIED, "AWS does not know the access key", "Give another key"))
    failure = world.failure()
    assert failure.reason is Reason.DENIED
    assert failure.message.endswith("is not known (AWS does not know the access key)")
    assert failure.fix == "Name the registry under 'registries', or: Give another key"
    assert world.done == ["delivered", "delivered"]


# --- one slot's trouble is never another's ---------------------------------------------------------------------------
def test_a_sink_that_hangs_delays_no_other_slot(world: World) -> None:
    world.sink_of(AIRFLOW).delivering = lambda: world.released.wait(60)
    # Of the pass's time only a moment is left: who has not answered by then has failed, all others are served.
    world.run(ends_at=budgets.MARGIN_S + 2.0)
    assert world.delivered(DOCKER).outcome is Outcome.WRITTEN
    failure = world.failure(AIRFLOW)
    assert (failure.reason, failure.message) == (Reason.TRANSIENT, "no answer within 2 s")
    assert failure.fix
    delivered = [line.sink for line in world.said(wire.Delivered)]
    assert delivered == [DOCKER[0], AIRFLOW[0]]
    world.released.set()


def test_an_airflow_of_which_all_connections_hang_delays_no_other_server(world: World) -> None:
    many = plan(connections=budgets.PER_SERVER + 4)
    for slot in many.slots:
        if slot.kind == "airflow":
            world.sink_of(slot.id).looking = lambda: world.released.wait(60)
    began = boot_time()
    world.clock = AwsClock(NOW, boot=lambda: boot_time() - began)
    world.run(many, ends_at=budgets.MARGIN_S + 2.0)
    assert world.said(wire.Delivered)[0].sink == DOCKER[0]
    assert world.delivered(DOCKER).outcome is Outcome.WRITTEN
    why = Counter(line.failure.message for line in world.said(wire.Delivered) if line.failure)
    assert why == {"no answer within 2 s": budgets.PER_SERVER, "the pass ended before its turn": 4}
    assert {line.failure.reason for line in world.said(wire.Delivered) if line.failure} == {Reason.TRANSIENT}


def test_the_wait_for_a_turn_does_not_count_against_a_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call takes most of what a call may take; all of them together take far more."""
    monkeypatch.setattr(budgets, "CALL_S", 1.0)
    monkeypatch.setattr(budgets, "PER_SERVER", 1)
    many = plan(connections=5)
    for slot in many.slots:
        world.sink_of(slot.id).delivering = lambda: world.released.wait(0.4)
    world.run(many)
    assert {line.outcome for line in world.said(wire.Delivered)} == {Outcome.WRITTEN}


def test_a_server_that_lets_one_call_hang_is_asked_again_for_the_next_slot(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "CALL_S", 0.5)
    monkeypatch.setattr(budgets, "PER_SERVER", 1)
    world.sink_of(AIRFLOW).looking = lambda: world.released.wait(60)
    world.run(plan(connections=2))
    assert world.failure(AIRFLOW).message.startswith("no answer within")
    assert world.delivered(("airflow/default/c1", "own")).outcome is Outcome.WRITTEN


def test_a_fault_of_ours_in_one_slot_is_told_by_type_and_place_without_its_values(world: World) -> None:
    world.sink_of(AIRFLOW).delivering = raises(KeyError(SECRET))
    world.run()
    failure = world.failure(AIRFLOW)
    assert failure.reason is Reason.INTERNAL
    assert failure.message.startswith("a fault of ecr-refresher: KeyError at test_refresh.py:")
    assert SECRET not in failure.message
    assert world.delivered(DOCKER).outcome is Outcome.WRITTEN


def test_a_fault_of_ours_in_the_fetch_is_every_slot_s_and_tells_no_values(world: World) -> None:
    world.fetching = raises(RuntimeError(SECRET))
    world.run()
    assert {world.failure(slot_id).reason for slot_id in (DOCKER, AIRFLOW)} == {Reason.INTERNAL}
    assert [line.failure.reason for line in world.said(wire.Fetched) if line.failure] == [Reason.INTERNAL]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        SystemExit(1),
        KeyboardInterrupt(),
        StopIteration(SECRET),
        RecursionError(SECRET),
        asyncio.CancelledError(),
        TimeoutError(SECRET),
        OSError(5, SECRET),
        BaseException(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("act", ["looking", "delivering"])
def test_whatever_a_sink_raises_is_its_own_slot_s_failure(world: World, error: BaseException, act: str) -> None:
    setattr(world.sink_of(AIRFLOW), act, raises(error))
    world.run(plan(connections=2))
    failure = world.failure(AIRFLOW)
    assert failure.reason is (Reason.TRANSIENT if isinstance(error, MemoryError) else Reason.INTERNAL)
    assert failure.fix
    assert world.delivered(DOCKER).outcome is Outcome.WRITTEN
    assert world.delivered(("airflow/default/c1", "own")).outcome is Outcome.WRITTEN


def test_a_sink_that_eats_memory_fails_alone(world: World) -> None:
    """The real MemoryError of an allocation that no machine has."""
    world.sink_of(DOCKER).looking = lambda: bytearray(1 << 60)
    world.run()
    assert world.failure(DOCKER) == Failure(
        Reason.TRANSIENT, "the memory limit is reached", "Raise the memory limit of the container"
    )
    assert world.delivered(AIRFLOW).outcome is Outcome.WRITTEN


@pytest.mark.parametrize("life", [1.0, 60.0, 99 * 365 * 86400.0, float("inf"), -5.0])
def test_a_record_that_lies_about_its_life_speaks_for_its_own_slot_alone(world: World, life: float) -> None:
    """Issued one second before it ends, or good for a century: the others' renewal goes by what tokens really live."""
    world.hold(Holding(NOW + 11 * H, own_record=True, life=life), DOCKER).hold(DUE, AIRFLOW)
    world.run(plan(owner=1000), wire.Order(*DOCKER), wire.Order(*AIRFLOW), lives={OWN.key: LIFE})
    assert world.delivered(AIRFLOW).outcome is Outcome.WRITTEN
    assert {line.life for line in world.said(wire.Delivered)} == {LIFE}


@pytest.mark.parametrize("life", [1.0, 99 * 365 * 86400.0])
def test_a_lie_about_its_life_is_not_believed_of_others_even_where_no_token_has_been_seen_yet(
    world: World, life: float
) -> None:
    world.hold(Holding(NOW + 11 * H, own_record=True, life=life), DOCKER).hold(DUE, AIRFLOW).run(plan(owner=1000))
    assert world.delivered(AIRFLOW).outcome is Outcome.WRITTEN


def test_a_file_of_our_own_tells_how_long_tokens_live_so_that_a_restart_burns_none(world: World) -> None:
    """50 minutes of 12 hours are too few; of one hour they are plenty."""
    world.hold(Holding(NOW + 3000, own_record=True, life=1 * H), DOCKER).hold(Holding(NOW + 3000), AIRFLOW)
    world.sink_of(AIRFLOW).looking = lambda: world.looked_at.wait(20)
    world.run()
    assert "fetch" not in world.done


def test_a_message_with_something_secret_in_it_is_masked(world: World) -> None:
    long = "QVdT" * 500
    world.sink_of(DOCKER).delivering = fails(Reason.INVALID, f"could not write {long}")
    world.run()
    assert world.failure().message == "could not write ***"


def test_the_first_to_be_served_does_not_wait_for_the_last(world: World) -> None:
    first_is_served = threading.Event()
    real = world.report

    def report(line: wire.Line) -> None:
        real(line)
        if isinstance(line, wire.Delivered) and line.sink == DOCKER[0]:
            first_is_served.set()

    world.report = report  # type: ignore[method-assign]
    world.sink_of(AIRFLOW).delivering = lambda: first_is_served.wait(20)
    world.run()
    assert [line.sink for line in world.said(wire.Delivered)] == [DOCKER[0], AIRFLOW[0]]
