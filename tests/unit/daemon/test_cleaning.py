"""The cleanup in the daemon: when its children start and end, what their lines come to, what is told of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families

from ecr_refresher.core import wire
from ecr_refresher.core.model import Outcome, Reason
from ecr_refresher.core.plan import Cleanup, Plan
from ecr_refresher.daemon.machine.cleanup import CLOCK_OFF_S, LISTEN_FIRST_S, SWEEP_LIMIT_S
from ecr_refresher.daemon.machine.due import next_boot
from ecr_refresher.daemon.machine.events import Exited, Kill, Say, Start
from ecr_refresher.daemon.machine.state import HEAR_WITHIN_S
from ecr_refresher.daemon.web import view

from .world import HOST, LIFE, World, failure, plan, scraped

EVERY_S = 300.0
SWEPT = wire.Swept(True, 1.5, 80, 100, 70, 12, {"in_use": 3, "too_young": 0}, short=False)


def cleaned(**rules: Any) -> Plan:
    return structs.replace(plan(), cleanup=Cleanup(enabled=True, every=EVERY_S, **rules))


def jobs(world: World, kind: str) -> list[wire.Job]:
    return [action.job for action in world.actions if isinstance(action, Start) and action.job.kind == kind]


class Cleaner(World):
    """A daemon that cleans: served, its listener running."""

    def __init__(self, of: Plan | None = None) -> None:
        super().__init__()
        self.served(of or cleaned())
        self.turn()
        (self.listen,) = jobs(self, "listen")

    def say(self, *lines: wire.Line, job: int | None = None) -> Cleaner:
        super().say(*lines, job=job)
        return self

    def hears(self) -> Cleaner:
        self.say(wire.Listening(), job=self.listen.id)
        return self

    def sweep(self) -> wire.Job:
        """The next cleanup, begun as the loop does."""
        for _ in range(100):
            self.wait_until_next()
            if found := jobs(self, "cleanup"):
                return found[0]
        raise AssertionError("no cleanup was begun")

    def reload(self, to: Plan) -> None:
        self.ask("reload").turn()
        assert self.state.running is not None
        self.say(wire.Planned(to, witness="settings of then"), wire.Done(), job=self.state.running.job.id)
        self.exit().turn()

    def gone(self, job: wire.Job, how: str = "exit status 0") -> Cleaner:
        self.feed(Exited(how, job.id))
        return self


def test_it_is_off_by_default_and_nothing_of_it_is_told() -> None:
    world = World().served().turn()
    assert not jobs(world, "listen")
    assert not jobs(world.wait(3600).turn(), "cleanup")
    assert "cleanup" not in view.status(world.state, world.boot, world.mono)
    assert "cleanup" not in scraped(world)


def test_the_listener_comes_first_and_a_cleanup_once_it_hears() -> None:
    world = Cleaner()
    assert not jobs(world, "cleanup")
    world.hears().turn()
    (job,) = jobs(world, "cleanup")
    assert job.plan == world.state.plan
    assert job.ends_at == world.boot + SWEEP_LIMIT_S
    assert job.valid_hosts == (HOST,)
    assert not jobs(world.turn(), "cleanup"), "one at a time"


def test_a_listener_that_hears_nothing_is_not_waited_for_for_ever() -> None:
    world = Cleaner()
    began = world.boot
    world.sweep()
    assert world.boot == began + HEAR_WITHIN_S


def test_the_next_cleanup_comes_when_it_is_due() -> None:
    world = Cleaner().hears()
    first = world.sweep()
    world.wait(7).say(SWEPT, wire.Done(), job=first.id)
    world.gone(first)
    ended = world.boot
    assert world.sweep().id > first.id
    assert world.boot == ended + EVERY_S


def test_no_registry_is_valid_whose_slots_do_not_all_hold() -> None:
    world = Cleaner().hears()
    world.wait(LIFE + 1)
    assert world.sweep().valid_hosts == ()


def test_a_cleanup_delays_no_pass_and_no_pass_a_cleanup() -> None:
    world = Cleaner().hears()
    sweep = world.sweep()
    world.ask("refresh").turn()
    assert jobs(world, "pass"), "beside it"
    assert world.state.running is not None
    world.say(SWEPT, wire.Done(), job=sweep.id)
    world.gone(sweep)
    assert world.state.running is not None
    world.state = replace(
        world.state, running=replace(world.state.running, job=structs.replace(world.state.running.job, ends_at=1e12))
    )
    assert world.sweep()


def test_a_cleanup_that_takes_too_long_is_killed_and_told() -> None:
    world = Cleaner().hears()
    job = world.sweep()
    assert next_boot(world.state) <= job.ends_at
    world.boot = job.ends_at
    world.turn()
    assert Kill(job.id) in world.actions
    assert [say.event for say in world.actions if isinstance(say, Say)] == ["cleanup_killed"]
    world.gone(job, "killed by signal 9")
    status = view.status(world.state, world.boot, world.mono)["cleanup"]
    assert status["last_error"]["reason"] == "internal"
    assert "took longer than 300 s" in status["last_error"]["message"]
    assert status["last_success_at"] is None
    assert world.sweep().id > job.id


def test_a_listener_that_dies_is_started_again_with_growing_pauses() -> None:
    world, pauses = Cleaner(), []
    for _ in range(3):
        died = world.boot
        world.gone(world.listen, "killed by signal 9")
        assert not view.status(world.state, world.boot, world.mono)["cleanup"]["listening"]
        while not jobs(world.wait_until_next(), "listen"):
            pass
        (world.listen,) = jobs(world, "listen")
        pauses.append(world.boot - died)
    assert pauses == [LISTEN_FIRST_S, 2 * LISTEN_FIRST_S, 4 * LISTEN_FIRST_S]
    world.hears().gone(world.listen)
    world.wait(LISTEN_FIRST_S).turn()
    assert jobs(world, "listen"), "one that has heard begins anew"


def test_new_rules_reach_the_listener_and_switching_it_off_ends_all() -> None:
    world = Cleaner().hears()
    sweep = world.sweep()
    world.reload(cleaned(state_file="/var/lib/other"))
    assert Kill(world.listen.id) in world.actions
    assert Kill(sweep.id) not in world.actions, "what runs may end"
    world.gone(world.listen, "killed by signal 9").turn()
    (anew,) = jobs(world, "listen")
    assert anew.plan is not None
    assert anew.plan.cleanup.state_file == "/var/lib/other"

    world.reload(plan())
    assert {Kill(anew.id), Kill(sweep.id)} <= {kill for kill in world.actions if isinstance(kill, Kill)}
    world.gone(anew).gone(sweep).wait(7200)
    for _ in range(20):
        world.wait_until_next()
        assert not jobs(world, "listen")
        assert not jobs(world, "cleanup")


def test_what_it_did_is_counted_and_told() -> None:
    world = Cleaner().hears()
    job = world.sweep()
    world.say(
        wire.Removed("container", "web"),
        wire.Removed("image", f"{HOST}/web:1", 500),
        wire.Removed("image", f"{HOST}/web:2", 250),
        wire.Hindered("image", failure(Reason.TRANSIENT, "in use"), f"{HOST}/web:3"),
        SWEPT,
        wire.Done(),
        job=job.id,
    )
    world.gone(job)
    status = view.status(world.state, world.boot, world.mono)["cleanup"]
    assert status["removed"] == status["removed_total"] == {"container": 1, "image": 2, "bytes": 750}
    assert (status["disk_used_ratio"], status["images"], status["image_bytes"]) == (0.8, 12, 70)
    assert status["protected"] == {"in_use": 3}
    assert status["last_error"]["message"] == "in use"
    assert status["last_run_at"] == status["last_success_at"] is not None
    values = samples(world)
    assert values["containers_removed_total", ()] == 1
    assert values["images_removed_total", ()] == 2
    assert values["freed_bytes_total", ()] == 750
    assert values["failures_total", ("image", "transient")] == 1
    assert values["failures_total", ("engine", "transient")] == 0
    assert values["disk_used_ratio", ()] == 0.8
    assert values["images_protected", ("in_use",)] == 3
    assert values["listening", ()] == 1

    quiet = world.sweep()
    world.say(SWEPT, wire.Done(), job=quiet.id)
    world.gone(quiet)
    status = view.status(world.state, world.boot, world.mono)["cleanup"]
    assert status["removed"] == {"container": 0, "image": 0, "bytes": 0}
    assert status["removed_total"]["image"] == 2
    assert status["last_error"] is None, "the last went well"


def test_counters_stand_at_0_from_the_first_plan_with_a_cleanup() -> None:
    values = samples(Cleaner())
    assert values["images_removed_total", ()] == values["containers_removed_total", ()] == 0
    assert values["last_run_timestamp_seconds", ()] == 0
    assert values["failures_total", ("state_file", "denied")] == 0


def test_a_dry_run_counts_nothing_as_removed() -> None:
    world = Cleaner(cleaned(dry_run=True)).hears()
    job = world.sweep()
    world.say(wire.Removed("image", "web:1", 500, dry_run=True), SWEPT, wire.Done(), job=job.id)
    world.gone(job)
    status = view.status(world.state, world.boot, world.mono)["cleanup"]
    assert (status["dry_run"], status["removed"]["image"], status["removed_total"]["image"]) == (True, 1, 0)


def test_an_engine_that_is_gone_is_told_until_it_is_back() -> None:
    world = Cleaner().hears()
    world.say(wire.Hindered("events", failure(Reason.TRANSIENT, "there is no engine")), job=world.listen.id)
    status = view.status(world.state, world.boot, world.mono)["cleanup"]
    assert (status["listening"], status["last_error"]["reason"]) == (False, "transient")
    job = world.sweep()
    world.say(structs.replace(SWEPT, ended=False), wire.Done(), job=job.id)
    world.gone(job)
    status = view.status(world.state, world.boot, world.mono)["cleanup"]
    assert (status["last_success_at"], status["last_error"]["message"]) == (None, "there is no engine")


def test_lines_of_a_child_that_is_gone_are_passed_over() -> None:
    world = Cleaner().hears()
    job = world.sweep()
    world.say(SWEPT, wire.Done(), job=job.id)
    world.gone(job)
    before = world.state
    world.say(wire.Removed("image", "late"), wire.Delivered("docker/x", HOST, Outcome.WRITTEN), job=job.id)
    assert world.state == before


def samples(world: World) -> dict[tuple[str, tuple[str, ...]], float]:
    text = scraped(world)
    return {
        (
            sample.name.removeprefix("ecr_refresher_cleanup_"),
            tuple(sample.labels[name] for name in sorted(sample.labels, reverse=True)),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "cleanup" in sample.name
    }


def test_a_listener_that_began_with_a_wrong_clock_begins_anew_once_awss_time_is_known() -> None:
    world = Cleaner().hears()
    world.turn()
    assert world.state.offset_measured
    assert Kill(world.listen.id) not in world.actions
    world.state = replace(world.state, offset=world.state.offset + CLOCK_OFF_S - 1.0)
    world.turn()
    assert Kill(world.listen.id) not in world.actions, "it may be off by a little"
    world.state = replace(world.state, offset=world.state.offset + 1200.0)
    world.turn()
    assert Kill(world.listen.id) in world.actions
    world.gone(world.listen, "killed by signal 9")
    world.turn()
    (anew,) = jobs(world, "listen")
    assert anew.clock_offset == world.state.offset
    assert Kill(anew.id) not in world.turn().actions
