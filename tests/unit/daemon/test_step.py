"""What the daemon does when: the pure step, one behaviour at a time."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from ecr_refresher.core import wire
from ecr_refresher.core.model import Outcome, Reason
from ecr_refresher.core.plan import Airflow, Connection, DockerConfig, Plan, Principal, Refresh, Registry, SecretRef
from ecr_refresher.daemon.machine.due import next_boot, renew_at, slot_next_boot
from ecr_refresher.daemon.machine.events import Adopt, Exit, Kill, Say, Start
from ecr_refresher.daemon.machine.state import RECHECK_S, REPAIR_EVERY_S, STOP_S, TURN_MAX_S

from .world import (
    AIRFLOW,
    BOOT,
    CONFIG,
    DOCKER,
    EPOCH,
    HOST,
    LIFE,
    PARTNER,
    PASSWORD,
    PRINCIPAL,
    SETTINGS,
    World,
    failure,
    ordered,
    plan,
)


# --- the first pass --------------------------------------------------------------------------------------------------
def test_the_first_turn_starts_a_worker_that_reads_the_settings() -> None:
    world = World().turn()
    job = world.job()
    assert job.load == wire.Load("config.yaml")
    assert (job.plan, job.orders, job.clock_offset, job.force) == (None, (), None, False)
    assert job.ends_at == world.boot + Refresh().deadline


def test_a_second_turn_starts_no_second_worker() -> None:
    world = World().turn()
    for _ in range(3):
        assert world.turn().actions == []


def test_the_first_plan_is_adopted_at_once_though_the_pass_goes_on() -> None:
    world = World().loaded()
    assert world.said(Adopt) == [Adopt(plan())]
    assert world.state.running is not None
    assert world.state.running.open == {DOCKER, AIRFLOW}


def test_a_served_daemon_is_ready_and_sleeps() -> None:
    world = World().served().turn()
    assert world.state.ready(world.boot)
    assert [action for action in world.actions if isinstance(action, Start)] == []


def test_settings_refused_at_the_start_end_the_daemon_with_status_2() -> None:
    world = World().turn().say(wire.Refused(("airflow[0].url: is missing",)))
    assert world.said(Exit) == [Exit(2, ("airflow[0].url: is missing",))]


def test_a_first_worker_that_dies_without_a_plan_is_followed_by_another_after_a_pause() -> None:
    world = World().turn().exit("killed by signal 9")
    (said,) = world.said(Say)
    assert (said.event, said.fields["reason"]) == ("load_failed", Reason.INTERNAL)
    assert "killed by signal 9" in said.fields["error"]
    world.turn()
    assert world.said(Start) == []
    pauses = []
    for _ in range(12):
        before = world.boot
        world.until_start()
        pauses.append(world.boot - before)
        world.exit("exit status 1")
    assert all(Refresh().retry_first <= pause <= Refresh().retry_max + TURN_MAX_S for pause in pauses)
    assert max(pauses[6:]) > 3 * pauses[0]


def test_the_worker_gets_what_the_daemon_has_learnt() -> None:
    world = World().served()
    world.wait(LIFE)
    job = world.turn().job()
    assert job.load is None
    assert job.plan == plan()
    assert job.lives == {PRINCIPAL: LIFE}
    assert job.clock_offset == EPOCH - 1000.0
    assert job.id == 2


# --- renewal ---------------------------------------------------------------------------------------------------------
def test_all_slots_of_one_token_are_renewed_in_one_pass_within_the_window() -> None:
    world = World().served(plan(refresh=Refresh(verify_every=10 * LIFE)))
    world.wait(RECHECK_S).turn().finish(world.fresh(AIRFLOW))
    together = ordered(world.until_start())
    assert set(together) == {DOCKER, AIRFLOW}
    assert all(order.due for order in together.values())
    assert 0.567 * LIFE - 1 <= world.aws - EPOCH <= 0.767 * LIFE + 1


@given(st.integers(0, 2**48))
def test_each_daemon_draws_its_own_moment_once(seed: int) -> None:
    world = World(seed).served()
    slot = world.plan_slot(DOCKER)
    first = renew_at(world.state, slot)
    assert first is not None
    assert 0.567 * LIFE - 1 <= first - EPOCH <= 0.767 * LIFE + 1
    assert renew_at(world.wait(3600).turn().state, slot) == first
    assert renew_at(world.state, world.plan_slot(AIRFLOW)) == first


def test_a_slot_that_is_only_looked_at_is_told_what_is_expected_and_that_it_is_not_due() -> None:
    world = World().served()
    orders = world.wait(RECHECK_S).turn().orders()
    assert orders == {AIRFLOW: wire.Order(*AIRFLOW, EPOCH + LIFE, due=False)}


# --- looks -----------------------------------------------------------------------------------------------------------
def test_an_airflow_is_looked_at_again_a_minute_after_a_write() -> None:
    world = World().served()
    assert world.slot(AIRFLOW).look_boot == world.boot + RECHECK_S
    assert world.slot(DOCKER).look_boot == inf


def test_then_it_is_looked_at_every_hour_or_so() -> None:
    world = World().served()
    world.wait(RECHECK_S).turn().finish(world.fresh(AIRFLOW))
    pause = world.slot(AIRFLOW).look_boot - world.boot
    assert 0.9 * 3600 <= pause <= 1.1 * 3600
    assert list(world.wait(pause).turn().orders()) == [AIRFLOW]


def test_after_a_failure_too_since_a_write_may_have_arrived_whose_answer_was_lost() -> None:
    world = World().served()
    world.wait(RECHECK_S).turn().finish(world.failed(AIRFLOW))
    world.until_start()
    world.finish(wire.Looked(*AIRFLOW, until=world.aws + LIFE, why="fresh", life=LIFE))
    assert world.slot(AIRFLOW).look_boot == world.boot + RECHECK_S


def test_a_fleet_started_at_once_does_not_look_at_once_for_ever() -> None:
    looks = set()
    for seed in range(20):
        world = World(seed).served()
        world.wait(RECHECK_S).turn().finish(world.fresh(AIRFLOW))
        looks.add(round(world.slot(AIRFLOW).look_boot))
    assert len(looks) > 15


def test_what_somebody_else_wrote_is_planned_from_its_own_expiry() -> None:
    world = World().served()
    world.wait(RECHECK_S).turn()
    later = EPOCH + LIFE + 7200
    world.finish(wire.Looked(*AIRFLOW, until=later, why="fresh", life=LIFE))
    assert world.slot(AIRFLOW).expected_until == later
    renewal = renew_at(world.state, world.plan_slot(AIRFLOW))
    assert renewal is not None
    assert 0.567 * LIFE - 1 <= renewal - (later - LIFE) <= 0.767 * LIFE + 1


# --- drift of files --------------------------------------------------------------------------------------------------
def test_a_config_json_that_somebody_wrote_is_looked_at_within_the_same_turn() -> None:
    world = World().served()
    world.files[CONFIG] = "config by docker login"
    assert list(world.wait(1).turn().orders()) == [DOCKER]


def test_our_own_write_is_no_drift() -> None:
    world = World().served()
    for _ in range(3):
        assert world.wait(1).turn().said(Start) == []


def test_a_removed_config_json_is_seen_too() -> None:
    world = World().served()
    world.files[CONFIG] = "absent"
    assert list(world.wait(1).turn().orders()) == [DOCKER]


def test_a_file_that_is_spoiled_again_is_repaired_at_most_once_a_minute() -> None:
    world = World().served(plan(airflow=False))
    repairs: list[float] = []
    for second in range(200):
        world.wait(1)
        world.files[CONFIG] = f"spoiled {second}"
        world.turn()
        if world.said(Start):
            world.files[CONFIG] = f"repaired {second}"
            world.finish(world.delivered(DOCKER, repaired=True))
            repairs.append(world.boot)
    assert len(repairs) >= 3
    assert min(late - early for early, late in pairwise(repairs)) >= REPAIR_EVERY_S


def test_a_look_at_another_slot_does_not_bring_a_repair_forward() -> None:
    world = World().served()
    world.files[CONFIG] = "spoiled"
    assert list(world.wait(1).turn().orders()) == [DOCKER]
    world.files[CONFIG] = "repaired"
    world.finish(world.delivered(DOCKER, repaired=True))
    world.turn()
    world.files[CONFIG] = "spoiled again"
    assert list(world.wait(RECHECK_S - 1).turn().orders()) == [AIRFLOW]
    world.finish(world.fresh(AIRFLOW))
    assert list(ordered(world.until_start())) == [DOCKER]
    assert world.boot - (BOOT + 1) >= REPAIR_EVERY_S


def two_in_one_file() -> Plan:
    """Two registries, and one `config.json` for both."""
    return Plan(
        (
            Registry(HOST, HOST, Principal("ecr", "us-east-1")),
            Registry(PARTNER, PARTNER, Principal("ecr", "eu-west-1")),
        ),
        dockers=(DockerConfig(CONFIG, (HOST, PARTNER)),),
    )


def looked(slot_id: tuple[str, str], witness: str, *, needed: bool = False) -> wire.Looked:
    return wire.Looked(*slot_id, until=EPOCH + LIFE, needed=needed, why="", life=LIFE, witness=witness)


def test_a_write_into_one_slot_of_a_file_is_no_drift_of_its_other_slots() -> None:
    world = World().served(two_in_one_file())
    world.ask("refresh").turn()
    world.say(looked(DOCKER, "config 1", needed=True), looked((DOCKER[0], PARTNER), "config 1"))
    world.files[CONFIG] = "config 2"
    world.finish(world.delivered(DOCKER))
    assert world.wait(1).turn().said(Start) == []


def test_somebody_else_s_write_between_two_looks_is_not_taken_for_our_own() -> None:
    world = World().served(two_in_one_file())
    world.ask("refresh").turn()
    world.say(looked((DOCKER[0], PARTNER), "config 1"), looked(DOCKER, "config by docker logout", needed=True))
    world.files[CONFIG] = "config 2"
    world.finish(world.delivered(DOCKER))
    assert list(world.wait(1).turn().orders()) == [(DOCKER[0], PARTNER)]


# --- settings and secrets --------------------------------------------------------------------------------------------
def test_a_changed_settings_file_is_read_within_a_turn() -> None:
    world = World().served()
    world.turn()
    world.files[SETTINGS] = "settings 2"
    job = world.wait(1).turn().job()
    assert job.load == wire.Load("config.yaml")
    assert job.plan is None


def test_a_reload_looks_at_every_slot_and_forgets_nothing_that_should_be_there() -> None:
    world = World().served()
    orders = world.ask("reload").turn().orders()
    assert orders == {slot_id: wire.Order(*slot_id, EPOCH + LIFE) for slot_id in (DOCKER, AIRFLOW)}


def test_sighup_reads_the_settings_anew_and_counts_it() -> None:
    world = World().served()
    world.ask("reload").turn()
    assert world.job().load is not None
    changed = plan(docker=False)
    world.say(wire.Planned(changed, witness="settings 1"))
    assert world.said(Adopt) == [Adopt(changed)]
    world.finish(world.fresh(AIRFLOW))
    assert (world.state.reloads_ok, world.state.reloads_failed, world.state.last_reload_ok) == (1, 0, True)
    assert set(world.state.slots) == {AIRFLOW}


def test_a_reload_that_changes_nothing_is_counted_and_nothing_is_adopted() -> None:
    world = World().served()
    world.ask("reload").turn().say(wire.Planned(plan(), witness="settings 1"))
    assert world.said(Adopt) == []
    assert world.state.reloads_ok == 1


def test_bad_new_settings_are_said_and_counted_and_the_old_ones_kept() -> None:
    world = World().served()
    held = dict(world.state.slots)
    world.turn()
    world.files[SETTINGS] = "settings 2"
    world.wait(1).turn().say(wire.Refused(("registries[0]: is no host of ECR", "server.listen: has no port")))
    (said,) = world.said(Say)
    assert said.event == "settings_refused"
    assert said.fields["error"] == "registries[0]: is no host of ECR; server.listen: has no port"
    world.finish()
    assert world.said(Exit) == []
    assert world.state.plan == plan()
    assert (world.state.reloads_ok, world.state.reloads_failed, world.state.last_reload_ok) == (0, 1, False)
    assert world.state.slots == held
    assert world.state.ready(world.boot)


def test_refused_settings_are_read_again_only_when_the_file_changes_again() -> None:
    world = World().served()
    world.turn()
    world.files[SETTINGS] = "settings 2"
    world.wait(1).turn().finish(wire.Refused(("bad",)))
    world.actions.clear()
    for _ in range(3):
        assert world.wait(1).turn().said(Start) == []
    world.files[SETTINGS] = "settings 3"
    world.wait(1).turn()
    assert world.job().load is not None


def test_a_file_that_keeps_changing_and_is_always_refused_delays_no_renewal() -> None:
    world = World().served(life=300.0)
    world.turn()
    loads = renewals = 0
    for number in range(1500):
        world.files[SETTINGS] = f"settings {number}"
        world.wait(1).turn()
        if world.state.running is None:
            continue
        if world.state.running.job.load is not None:
            loads += 1
            world.finish(wire.Refused(("bad",)))
        else:
            renewals += 1
            world.finish(world.fetched(300.0), *world.deliveries(300.0))
        assert world.state.ready(world.boot)
    assert loads > renewals > 3


def test_a_reload_whose_worker_dies_is_said_and_counted_and_tried_again_after_a_pause() -> None:
    world = World().served()
    world.ask("reload").turn()
    world.actions.clear()
    world.exit("killed by signal 9", "Raise the memory limit")
    (said,) = world.said(Say)
    assert (said.event, said.fields["fix"]) == ("reload_failed", "Raise the memory limit")
    assert (world.state.reloads_failed, world.state.last_reload_ok) == (1, False)
    assert world.turn().said(Start) == []
    assert world.until_start().load is not None
    world.say(wire.Planned(plan(), "settings 1")).finish(world.fresh(DOCKER), world.fresh(AIRFLOW))
    assert (world.state.reloads_ok, world.state.reloads_failed, world.state.last_reload_ok) == (1, 1, True)
    assert world.wait(RECHECK_S).ask("refresh").turn().job().load is None


def test_settings_that_kill_every_worker_stop_no_renewal_by_the_old_plan() -> None:
    world = World().served(life=3600.0)
    world.ask("reload")
    pauses, renewals, died = [], 0, 0.0
    while world.aws < EPOCH + 4 * 3600:
        job = world.until_start()
        if job.load is not None:
            pauses.append(world.boot - died)
            died = world.boot
            world.exit("killed by signal 9")
        else:
            renewals += any(order.due for order in job.orders or ())
            world.finish(world.fetched(3600.0), *world.deliveries(3600.0, ordered(job)))
        assert world.state.ready(world.boot)
        assert all(known.failure is None for known in world.state.slots.values()), "no slot is to blame"
    assert renewals >= 4
    assert max(pauses[5:]) > 3 * pauses[1], "the pauses grow"
    assert max(pauses[1:]) <= Refresh().retry_max + TURN_MAX_S
    world.files[SETTINGS] = "settings 2"
    assert world.wait(1).turn().job().load is not None, "a changed file is read at once"


def test_a_slot_that_is_due_comes_before_settings_that_have_killed_a_worker() -> None:
    world = World().served()
    world.ask("reload").turn().exit("killed by signal 9")
    world.actions.clear()
    job = world.wait(400.0).turn().job()
    assert (job.load, list(ordered(job))) == (None, [AIRFLOW])
    assert world.finish(world.fresh(AIRFLOW)).turn().job().load is not None


def test_a_refresh_that_was_asked_for_is_not_lost_with_a_dead_reload() -> None:
    world = World().served()
    assert world.ask("reload").ask("refresh").turn().job().force
    job = world.exit("killed by signal 9").turn().job()
    assert (job.force, job.load) == (True, None)


def test_a_reload_is_under_way_until_it_is_good_or_refused_or_dead() -> None:
    world = World().loaded()
    assert not world.state.reloading, "the first load is none"
    world.served().turn()
    for line in (wire.Planned(plan(), "settings 1"), wire.Refused(("bad",)), None):
        assert world.ask("reload").state.reloading
        assert world.turn().state.reloading
        world = world.say(line) if line else world.exit("killed by signal 9")
        assert not world.state.reloading
        world.finish(world.fresh(DOCKER), world.fresh(AIRFLOW))


def test_a_reload_that_is_refused_and_then_dies_is_one_bad_reload() -> None:
    world = World().served()
    world.ask("reload").turn().say(wire.Refused(("bad",))).exit("killed by signal 9")
    assert world.state.reloads_failed == 1


def test_a_reload_cut_off_by_the_end_of_the_daemon_is_no_bad_one() -> None:
    world = World().served()
    world.ask("reload").turn().ask("stop").exit("killed by signal 9")
    assert (world.state.reloads_failed, world.state.last_reload_ok) == (0, True)


def test_new_slots_of_a_reload_are_seen_to_by_its_own_pass() -> None:
    world = World().served(plan(docker=False))
    world.ask("reload").turn().say(wire.Planned(plan(), witness="settings 1"))
    assert world.state.running is not None
    assert DOCKER in world.state.running.open
    assert world.slot(DOCKER).held_until is None
    assert not world.state.ready(world.boot)
    world.finish(world.fresh(AIRFLOW), world.delivered(DOCKER))
    assert world.state.ready(world.boot)


def test_a_wrong_password_is_tried_again_as_soon_as_its_file_changes() -> None:
    world = World().served()
    world.wait(LIFE * 0.8).turn()
    world.finish(world.fetched(), world.delivered(DOCKER), world.failed(AIRFLOW, Reason.DENIED, login_refused=True))
    world.turn()
    retry = world.slot(AIRFLOW).retry_boot
    assert retry is not None
    assert retry - world.boot >= 300
    world.wait(10).turn()
    assert world.said(Start) == []
    world.files[PASSWORD] = "password 2"
    assert list(world.wait(1).turn().orders()) == [AIRFLOW]


def test_a_changed_password_file_hurries_only_the_airflow_whose_it_is() -> None:
    principal = Principal("ecr", "us-east-1")
    other = Airflow("other", "https://other", (Connection("c", HOST),), "u", SecretRef("file", "/run/secrets/other"))
    mine = plan(docker=False).airflows[0]
    world = World().served(Plan((Registry(HOST, HOST, principal),), (mine, other)))
    world.files["/run/secrets/other"] = "other 1"
    world.wait(RECHECK_S).turn()
    world.finish(*(world.failed(slot, Reason.DENIED, login_refused=True) for slot in world.state.slots))
    world.turn()
    world.files["/run/secrets/other"] = "other 2"
    assert list(world.wait(1).turn().orders()) == [("airflow/other/c", HOST)]


def test_after_a_refused_login_no_slot_of_that_airflow_tries_again_before_its_time() -> None:
    airflow = structs.replace(plan().airflows[0], connections=tuple(Connection(name, HOST) for name in "abc"))
    world = World().served(structs.replace(plan(), airflows=(airflow,)))
    world.wait(RECHECK_S).turn()
    refused = ("airflow/default/a", HOST)
    others = [("airflow/default/b", HOST), ("airflow/default/c", HOST)]
    world.finish(world.failed(others[0]), world.failed(refused, Reason.DENIED, login_refused=True))
    for slot_id in (refused, *others):
        assert slot_next_boot(world.state, world.plan_slot(slot_id)) - world.boot >= 300
    assert world.slot(DOCKER).retry_boot is None
    world.turn()
    world.files[PASSWORD] = "password 2"
    assert set(world.wait(1).turn().orders()) == {refused, *others}


def test_a_changed_password_file_hurries_nothing_that_works() -> None:
    world = World().served()
    world.wait(RECHECK_S).turn().finish(world.fresh(AIRFLOW))
    world.turn()
    world.files[PASSWORD] = "password 2"
    world.wait(1).turn()
    assert world.said(Start) == []


# --- signals ---------------------------------------------------------------------------------------------------------
def test_sigusr1_has_everything_fetched_and_written_now() -> None:
    world = World().served()
    world.ask("refresh").turn()
    job = world.job()
    assert job.force
    assert set(ordered(job)) == {DOCKER, AIRFLOW}
    world.finish(world.fetched(), *world.deliveries()).turn()
    assert world.said(Start) == []


def test_what_is_asked_for_during_a_pass_is_done_after_it() -> None:
    world = World().served()
    world.wait(RECHECK_S).turn()
    world.actions.clear()
    world.ask("refresh").ask("reload").turn()
    assert world.said(Start) == []
    job = world.finish(world.fresh(AIRFLOW)).turn().job()
    assert job.force
    assert job.load is not None


def test_sigterm_ends_an_idle_daemon_at_once() -> None:
    world = World().served().ask("stop")
    assert world.said(Exit) == [Exit(0)]
    assert not world.state.ready(world.boot)


def test_sigterm_during_a_pass_kills_the_worker_and_ends_when_it_is_gone() -> None:
    world = World().loaded()
    world.actions.clear()
    world.ask("stop")
    assert [type(action) for action in world.actions] == [Say, Kill]
    world.actions.clear()
    world.exit("killed by signal 9")
    assert world.actions == [Exit(0)]


def test_a_worker_that_can_t_be_killed_is_waited_for_no_longer_than_an_end_may_take() -> None:
    world = World().loaded().ask("stop")
    asked = world.boot
    assert world.wait(1.0).ask("stop").wait_until_next().said(Exit) == [Exit(0)], "asking again grants no more time"
    assert world.boot == asked + STOP_S < asked + 10.0


def test_a_stopping_daemon_starts_nothing_more() -> None:
    world = World().served().ask("refresh").ask("stop")
    world.actions.clear()
    world.wait(LIFE).turn()
    assert world.said(Start) == []


# --- the worker's end ------------------------------------------------------------------------------------------------
def test_a_pass_that_takes_too_long_is_killed_and_its_open_slots_have_failed() -> None:
    world = World().loaded()
    world.say(wire.Clock(EPOCH - 1000.0, 0.0), world.fetched(), world.delivered(DOCKER))
    world.actions.clear()
    world.wait(59.9).turn()
    assert world.said(Kill) == []
    world.wait(0.2).turn()
    assert [type(action) for action in world.actions] == [Kill, Say]
    world.exit("killed by signal 9")
    assert world.slot(DOCKER).failure is None
    known = world.slot(AIRFLOW).failure
    assert known is not None
    assert known.reason is Reason.INTERNAL
    assert "took too long" in known.message
    assert world.slot(AIRFLOW).retry_boot is not None


def test_a_worker_that_can_t_be_killed_is_said_once_and_does_not_keep_the_loop_awake() -> None:
    world = World().loaded()
    world.wait(60.1).turn()
    world.actions.clear()
    assert next_boot(world.state) > world.boot + 1
    for _ in range(5):
        assert world.wait_until_next().actions == [Kill()]


def test_a_worker_that_dies_leaves_failed_slots_and_its_last_words_count() -> None:
    world = World().loaded()
    world.say(world.fetched(), world.delivered(AIRFLOW)).exit("exit status 1")
    assert "pass_died" in world.events_said()
    assert world.slot(AIRFLOW).outcome is Outcome.WRITTEN
    docker = world.slot(DOCKER)
    assert docker.failure is not None
    assert docker.failure.reason is Reason.INTERNAL
    assert "exit status 1" in docker.failure.message
    assert world.slot(DOCKER).tally.failures == {Reason.INTERNAL: 1}


def test_done_is_the_success_whatever_the_exit_status_says() -> None:
    world = World().loaded()
    world.finish(world.fetched(), *world.deliveries())
    assert "pass_died" not in world.events_said()
    world.wait(RECHECK_S).turn().say(world.fresh(AIRFLOW)).exit("exit status 0")
    assert "pass_died" in world.events_said()


def test_a_failed_fetch_is_the_failure_of_each_slot_that_waited_for_it_and_no_delivery() -> None:
    world = World().loaded()
    denied = failure(Reason.DENIED, "the identity may not do this")
    lines = [wire.Delivered(*slot_id, Outcome.FAILED, failure=denied, attempted=False) for slot_id in (DOCKER, AIRFLOW)]
    world.finish(wire.Fetched(PRINCIPAL, 0.1, failure=denied), *lines)
    principal = world.state.principals[PRINCIPAL]
    assert principal.retry_boot is not None
    assert principal.retry_boot - world.boot >= 60
    for slot_id in (DOCKER, AIRFLOW):
        assert world.slot(slot_id).failure == denied
        assert world.slot(slot_id).retry_boot == principal.retry_boot
        assert (world.slot(slot_id).tally.attempts, world.slot(slot_id).tally.failures) == (0, {})
    assert set(ordered(world.until_start())) == {DOCKER, AIRFLOW}


def test_lines_of_a_worker_that_was_written_off_are_passed_over() -> None:
    world = World().served()
    before = world.state
    world.say(world.failed(DOCKER), wire.Refused(("bad",)), wire.Clock(0.0, 9999.0), job=1)
    assert world.state == before
    world.wait(RECHECK_S).turn()
    before = world.state
    world.say(world.failed(AIRFLOW), wire.Done(), job=1).say(wire.Done(), job=99)
    assert world.state == before


def test_lines_about_slots_and_principals_that_are_unknown_are_passed_over() -> None:
    world = World().loaded()
    before = world.state
    world.say(
        wire.Looked("docker/other", HOST),
        wire.Fetched("ecr/nowhere", 1.0),
        wire.Delivered("docker/other", HOST, Outcome.WRITTEN),
        wire.Delivered("docker/other", HOST, Outcome.FAILED),
    )
    assert world.state == before


def test_the_fix_of_an_end_is_that_of_the_slots_that_it_left_open() -> None:
    world = World().loaded().exit("killed by the kernel at the memory limit of 160 MiB", "Raise the memory limit")
    known = world.slot(DOCKER).failure
    assert known is not None
    assert "memory limit of 160 MiB" in known.message
    assert known.fix == "Raise the memory limit"


def test_an_exit_without_a_pass_changes_nothing() -> None:
    world = World().served()
    before = world.state
    assert world.exit().state == before


# --- retries ---------------------------------------------------------------------------------------------------------
def test_a_failed_slot_is_tried_again_with_growing_pauses_and_never_given_up() -> None:
    world = World().served(plan(docker=False))
    world.wait(RECHECK_S).turn()
    pauses = []
    while world.aws < EPOCH + 1.1 * LIFE:
        world.finish(world.failed(AIRFLOW))
        before = world.boot
        world.until_start()
        pauses.append(world.boot - before)
    assert 5 <= pauses[0] <= 10
    assert max(pauses[-20:]) > 200
    assert max(pauses) <= 300 + 1e-6
    assert world.slot(AIRFLOW).tries == len(pauses)


def test_a_failed_slot_drags_no_other_along() -> None:
    world = World().served()
    world.wait(RECHECK_S).turn().finish(world.failed(AIRFLOW))
    for _ in range(5):
        assert set(ordered(world.until_start())) == {AIRFLOW}
        world.finish(world.failed(AIRFLOW))


@given(st.floats(1, LIFE), st.sampled_from(Reason), st.integers(1, 20))
def test_while_something_lives_its_retry_comes_before_a_quarter_of_that_is_gone(
    left: float, reason: Reason, failures: int
) -> None:
    world = World().served()
    world.wait(LIFE - left).turn()
    for _ in range(failures):
        if world.state.running is None:
            world.ask("refresh").turn()
        world.finish(world.failed(DOCKER, reason))
    retry = world.slot(DOCKER).retry_boot
    assert retry is not None
    assert retry - world.boot <= max(left / 4, 1.0) + 1e-6


def test_slots_of_one_airflow_are_tried_again_together() -> None:
    airflow = structs.replace(plan().airflows[0], connections=tuple(Connection(name, HOST) for name in "abc"))
    world = World().served(structs.replace(plan(docker=False), airflows=(airflow,)))
    world.wait(RECHECK_S).turn()
    world.finish(*(world.failed(slot_id) for slot_id in world.state.slots))
    assert len({known.retry_boot for known in world.state.slots.values()}) == 1


def test_a_success_ends_the_row_of_failures() -> None:
    world = World().served()
    world.wait(RECHECK_S).turn().finish(world.failed(AIRFLOW))
    world.wait(30).turn().finish(world.delivered(AIRFLOW))
    known = world.slot(AIRFLOW)
    assert (known.tries, known.failure, known.retry_boot) == (0, None, None)


def test_the_limit_of_a_pass_is_a_quarter_of_the_shortest_life_left() -> None:
    world = World().served(life=100.0)
    world.wait(20.0).ask("refresh").turn()
    assert world.job().ends_at == pytest.approx(world.boot + 80.0 / 4)


def test_a_life_that_another_user_claims_shortens_nobody_s_pass() -> None:
    world = World().served()
    until = world.aws + 40.0
    world.ask("refresh").turn().finish(wire.Looked(*DOCKER, until=until, needed=True, life=60.0))
    assert world.ask("refresh").turn().job().ends_at == pytest.approx(world.boot + Refresh().deadline)


def test_a_renewal_that_another_user_claims_ends_nobody_s_pass() -> None:
    world = World().served()
    world.ask("refresh").turn().say(wire.Looked(*DOCKER, until=world.aws + 20.0, life=24.0))
    job = world.job()
    while not world.wait_until_next().said(Kill):
        assert world.boot < job.ends_at
    assert world.boot == pytest.approx(job.ends_at)


# --- the own registry ------------------------------------------------------------------------------------------------
def test_the_own_registry_takes_its_place_once_it_is_found_out() -> None:
    unknown = structs.replace(
        plan(airflow=False),
        registries=(Registry("own", "", Principal("ecr", "us-east-1")),),
        dockers=(DockerConfig(CONFIG, ("own",)),),
    )
    world = World().loaded(unknown)
    assert set(world.state.slots) == {(DOCKER[0], "own")}
    resolved = plan(airflow=False)
    world.say(wire.Planned(resolved, "settings 1", own_hosts={"us-east-1": HOST}))
    assert set(world.state.slots) == {DOCKER}
    assert world.state.running is not None
    assert world.state.running.open == {DOCKER}
    assert world.said(Adopt) == [Adopt(unknown), Adopt(resolved)]
    world.finish(world.fetched(), world.delivered(DOCKER))
    assert world.state.ready(world.boot)
    assert world.state.reloads_ok == 0


def test_an_own_registry_that_is_not_known_yet_is_asked_for_again() -> None:
    unknown = structs.replace(
        plan(airflow=False),
        registries=(Registry("own", "", Principal("ecr", "us-east-1")),),
        dockers=(DockerConfig(CONFIG, ("own",)),),
    )
    slot_id = (DOCKER[0], "own")
    world = World().loaded(unknown)
    world.finish(world.failed(slot_id, Reason.MISSING))
    assert world.until_start().load is not None
    world.say(wire.Planned(plan(airflow=False), "settings 1", own_hosts={"us-east-1": HOST}))
    world.finish(world.delivered(DOCKER))
    world.ask("reload").turn()
    assert world.job().own_hosts == {"us-east-1": HOST}


# --- the clock -------------------------------------------------------------------------------------------------------
def test_the_wall_clock_counts_until_aws_has_said_its_time() -> None:
    world = World()
    world.wall_error = 7.0
    world.turn()
    assert world.state.offset == EPOCH - 1000.0 + 7.0
    assert world.state.skew is None
    world.say(wire.Clock(EPOCH - 1000.0, 7.0))
    world.wall_error = -3600.0
    world.turn()
    assert world.state.offset == EPOCH - 1000.0
    assert world.state.skew == pytest.approx(-3600.0)


def test_a_clock_that_is_off_by_more_than_five_minutes_is_a_loud_warning_once() -> None:
    world = World().turn()
    world.actions.clear()
    world.say(wire.Clock(EPOCH - 1000.0, -299.0))
    assert world.events_said() == []
    world.say(wire.Clock(EPOCH - 1000.0, -301.0))
    (said,) = world.said(Say)
    assert (said.level, said.event, said.fields["skew_s"]) == ("warning", "clock_skewed", -301.0)
    world.say(wire.Clock(EPOCH - 1000.0, -302.0))
    assert world.events_said() == []


def test_a_clock_that_is_stepped_while_it_runs_is_told_once() -> None:
    world = World().served()
    world.turn()
    world.actions.clear()
    world.wall_error = 301.0
    assert world.turn().events_said() == ["clock_skewed"]
    assert world.turn().events_said() == []
    world.wall_error = 0.0
    assert world.turn().events_said() == []


@given(st.floats(-1e8, 1e8))
def test_a_stepped_wall_clock_is_a_non_event(error: float) -> None:
    world = World().served()
    world.turn()
    before = (next_boot(world.state), world.state.ready(world.boot))
    world.actions.clear()
    world.wall_error = error
    world.turn()
    assert (next_boot(world.state), world.state.ready(world.boot)) == before
    assert world.said(Start) == []


def test_a_suspend_is_made_up_for_at_the_next_turn() -> None:
    world = World().served()
    world.wait(2 * LIFE).turn()
    assert set(world.orders()) == {DOCKER, AIRFLOW}


# --- health ----------------------------------------------------------------------------------------------------------
def test_a_pass_that_one_slot_holds_up_ends_in_time_for_the_renewal_of_the_others() -> None:
    world = World().served(life=12.0)
    job = world.until_start()
    assert ordered(job).keys() == {DOCKER, AIRFLOW}
    world.wait(1).say(world.fetched(12.0), world.delivered(AIRFLOW, 12.0))  # and the file's user lets it wait
    renewed = world.aws
    assert job.ends_at - world.boot > 12
    while not world.wait_until_next().said(Kill):
        assert world.aws - renewed < 12
    assert 12 * 0.5 < world.aws - renewed < 12 * 0.85
    world.exit("killed by signal 9")
    assert world.slot(DOCKER).failure is not None
    assert AIRFLOW in ordered(world.until_start())
    assert world.aws < renewed + 12


def test_a_pass_with_late_retries_ends_in_time_for_those_that_are_not_in_it() -> None:
    world = World().served(life=60.0)
    world.until_start()
    world.wait(1).finish(world.fetched(60.0), world.delivered(AIRFLOW, 60.0), world.failed(DOCKER))
    until = world.aws + 60.0
    while AIRFLOW not in ordered(world.until_start()):
        assert world.aws < until
        if until - world.aws > 30:
            world.wait(1).finish(world.failed(DOCKER))
        else:  # this one hangs
            assert world.wait_until_next().said(Kill) == [Kill()]
            world.exit("killed by signal 9")
    assert world.aws < until


@pytest.mark.parametrize("life", [900.0, LIFE])
def test_tokens_that_live_for_long_end_no_pass_early(life: float) -> None:
    world = World().served(plan(refresh=Refresh(deadline=60.0)), life=life)
    job = world.until_start()
    world.say(world.fetched(life), world.delivered(AIRFLOW, life))
    while not world.wait_until_next().said(Kill):
        assert world.boot < job.ends_at
    assert world.boot == pytest.approx(job.ends_at)


def test_a_token_that_can_t_be_fetched_ends_no_pass_of_others_early() -> None:
    world = World().served(life=12.0)
    world.until_start()
    world.wait(8).say(world.failed(AIRFLOW))
    assert world.turn().said(Kill) == []


def test_readiness_ends_at_the_expiry_and_not_before_and_is_said() -> None:
    world = World().served()
    world.turn()
    world.wait(LIFE - 0.1)
    assert world.state.ready(world.boot)
    world.wait(0.1)
    assert not world.state.ready(world.boot)
    assert world.turn().events_said() == ["not_ready"]
    world.finish(world.fetched(), *world.deliveries())
    assert world.turn().events_said() == ["ready"]


def test_the_loop_wakes_at_an_expiry() -> None:
    world = World().served()
    world.wait(LIFE - 20).turn()
    world.finish(*(world.failed(slot_id) for slot_id in (DOCKER, AIRFLOW)))
    world.turn()
    while world.aws < EPOCH + LIFE:
        before = world.boot
        world.wait_until_next()
        if world.said(Start):
            world.finish(*(world.failed(slot_id) for slot_id in (DOCKER, AIRFLOW)))
        assert world.boot <= max(before, 1000.0 + LIFE)
    assert world.boot == pytest.approx(1000.0 + LIFE, abs=1e-3)


def test_a_slot_that_is_not_required_has_no_say_in_readiness() -> None:
    world = World().loaded(plan(required=False))
    world.finish(world.fetched(), world.delivered(DOCKER), world.failed(AIRFLOW))
    assert world.state.ready(world.boot)


def test_without_settings_nothing_is_ready() -> None:
    assert not World().turn().state.ready(1000.0)


def test_the_loop_is_live_while_it_turns() -> None:
    world = World().turn()
    assert world.state.live(world.mono + TURN_MAX_S + 1)
    assert not world.state.live(world.mono + 3 * TURN_MAX_S)


def test_a_machine_that_was_suspended_does_not_make_its_loop_look_dead() -> None:
    world = World().turn().sleep(3 * 3600.0)
    assert world.state.live(world.mono)
    assert not world.state.live(world.wait(3 * TURN_MAX_S).mono)


def test_startup_is_over_when_the_required_files_are_served() -> None:
    world = World().loaded()
    assert not world.state.started(world.boot)
    world.say(world.fetched(), world.delivered(DOCKER))
    assert world.state.started(world.boot)


def test_startup_is_over_with_the_first_pass_however_it_ended() -> None:
    world = World().loaded(plan(docker=False))
    world.say(world.fetched())
    assert not world.state.started(world.boot)
    assert world.exit("killed by signal 9").state.started(world.boot)


def test_startup_is_over_after_a_minute_at_the_latest() -> None:
    world = World().turn()
    assert not world.state.started(world.boot + 59.9)
    assert world.state.started(world.boot + 60.0)


def test_no_wait_is_longer_than_a_minute() -> None:
    world = World().served(plan(airflow=False)).turn()
    assert next_boot(world.state) - world.boot == TURN_MAX_S
