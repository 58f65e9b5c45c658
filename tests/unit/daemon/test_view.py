"""What is told: `/status` and the probes, in exactly the shape of the contract."""

from __future__ import annotations

import json

import pytest
from msgspec import structs

from ecr_refresher import __version__
from ecr_refresher.core import times, wire
from ecr_refresher.core.model import Reason
from ecr_refresher.core.plan import KubernetesSecret, Refresh
from ecr_refresher.daemon.machine.state import RECHECK_S
from ecr_refresher.daemon.web import view

from .world import AIRFLOW, CONFIG, DOCKER, EPOCH, HOST, LIFE, PRINCIPAL, World, failure, plan

NO_JITTER = Refresh(jitter=0.0, at_fraction=0.5)


def test_status_has_the_shape_of_the_contract() -> None:
    world = World().served(plan(refresh=NO_JITTER))
    world.say(wire.Clock(EPOCH - 1000.0, 0.0))
    world.wait(RECHECK_S).turn()
    world.say(wire.Clock(EPOCH - 1000.0, 0.2)).finish(world.failed(AIRFLOW, Reason.THROTTLED))
    status = view.status(world.state, world.boot, world.mono)
    status["slots"][1]["next_at"] = "(some seconds later)"
    assert json.loads(json.dumps(status)) == {
        "version": __version__,
        "now": "2027-01-15T08:01:00Z",
        "started_at": "2027-01-15T08:00:00Z",
        "ready": True,
        "live": True,
        "clock_skew_seconds": 0.2,
        "registries": [
            {
                "name": HOST,
                "host": HOST,
                "expires_at": "2027-01-15T20:00:00Z",
                "renew_at": "2027-01-15T14:00:00Z",
                "last_success_at": "2027-01-15T08:00:00Z",
                "last_error": None,
            }
        ],
        "slots": [
            {
                "sink": f"docker/{CONFIG}",
                "kind": "docker",
                "target": CONFIG,
                "registry": HOST,
                "required": True,
                "issued_at": "2027-01-15T08:00:00Z",
                "held_until": "2027-01-15T20:00:00Z",
                "renew_at": "2027-01-15T14:00:00Z",
                "outcome": "written",
                "delivered_at": "2027-01-15T08:00:00Z",
                "last_error": None,
                "next": "renewal",
                "next_at": "2027-01-15T14:00:00Z",
            },
            {
                "sink": "airflow/default/docker_default",
                "kind": "airflow",
                "target": "https://airflow.example.com",
                "registry": HOST,
                "required": True,
                "issued_at": "2027-01-15T08:00:00Z",
                "held_until": "2027-01-15T20:00:00Z",
                "renew_at": "2027-01-15T14:00:00Z",
                "outcome": "failed",
                "delivered_at": "2027-01-15T08:00:00Z",
                "last_error": {
                    "reason": "throttled",
                    "message": "it did not work",
                    "fix": "Try something else",
                    "at": "2027-01-15T08:01:00Z",
                },
                "next": "retry",
                "next_at": "(some seconds later)",
            },
        ],
    }


def test_status_says_null_where_nothing_is_known() -> None:
    status = view.status(World().turn().state, 1000.0, 1000.0)
    assert status["clock_skew_seconds"] is None
    assert (status["ready"], status["live"], status["registries"], status["slots"]) == (False, True, [], [])
    loaded = view.status(World().loaded().state, 1000.0, 1000.0)
    assert loaded["registries"][0] == {
        "name": HOST,
        "host": HOST,
        "expires_at": None,
        "renew_at": None,
        "last_success_at": None,
        "last_error": None,
    }
    assert {
        loaded["slots"][0][name]
        for name in ("issued_at", "held_until", "renew_at", "outcome", "delivered_at", "last_error")
    } == {None}


def test_a_fetch_that_failed_is_the_registry_s_last_error() -> None:
    world = World().loaded().say(wire.Fetched(PRINCIPAL, 0.1, failure=failure(Reason.DENIED, "no right", "Grant it")))
    (registry,) = view.status(world.state, world.boot, world.mono)["registries"]
    assert registry["last_error"] == {
        "reason": "denied",
        "message": "no right",
        "fix": "Grant it",
        "at": "2027-01-15T08:00:00Z",
    }


def test_a_registry_whose_own_host_is_not_known_yet_has_none() -> None:
    unknown = structs.replace(plan(), registries=(structs.replace(plan().registries[0], host=""),))
    assert view.status(World().loaded(unknown).state, 1000.0, 1000.0)["registries"][0]["host"] is None


def test_the_next_step_says_what_it_is_for() -> None:
    world = World().served(plan(refresh=NO_JITTER))
    steps = {slot["sink"]: slot["next"] for slot in view.status(world.state, world.boot, world.mono)["slots"]}
    assert steps == {DOCKER[0]: "renewal", AIRFLOW[0]: "look"}
    world.wait(RECHECK_S).turn().finish(world.fresh(AIRFLOW))
    world.ask("refresh").turn().finish(world.failed(DOCKER), world.delivered(AIRFLOW))
    steps = {slot["sink"]: slot["next"] for slot in view.status(world.state, world.boot, world.mono)["slots"]}
    assert steps == {DOCKER[0]: "retry", AIRFLOW[0]: "look"}


def test_the_next_step_is_never_in_the_past() -> None:
    world = World().served()
    world.wait(2 * LIFE)
    assert {slot["next_at"] for slot in view.status(world.state, world.boot, world.mono)["slots"]} == {
        times.rfc3339(world.aws)
    }


@pytest.mark.parametrize(
    ("until", "text"),
    [(0.0, None), (None, None), (1_800_000_000.9, "2027-01-15T08:00:00Z"), (1e300, None)],
)
def test_times_are_rfc_3339_in_utc(until: float | None, text: str | None) -> None:
    world = World().loaded()
    world.say(wire.Looked(*DOCKER, until=until, needed=False))
    assert view.status(world.state, world.boot, world.mono)["slots"][0]["held_until"] == text


def test_a_token_that_was_fetched_but_not_delivered_yet_counts_for_the_registry() -> None:
    world = World().served(life=100.0)
    world.ask("refresh").turn().say(world.fetched(LIFE))
    assert view.token_expiry(world.state, plan().registries[0]) == EPOCH + LIFE


# --- probes ----------------------------------------------------------------------------------------------------------
def test_readyz_names_each_slot_and_what_is_wrong_with_it() -> None:
    world = World().loaded()
    assert view.readyz(world.state, world.boot).verbose() == (
        f"[-]docker/{CONFIG} failed: not looked at yet\n"
        "[-]airflow/default/docker_default failed: not looked at yet\n"
        "failed\n"
    )
    world.say(world.delivered(AIRFLOW), world.failed(DOCKER, Reason.THROTTLED))
    probe = view.readyz(world.state, world.boot)
    assert not probe.ok
    assert probe.verbose() == (f"[-]docker/{CONFIG} failed: throttled\n[+]airflow/default/docker_default ok\nfailed\n")


def test_readyz_passes_when_all_that_is_required_is_served() -> None:
    world = World().loaded(plan(required=False))
    world.say(world.delivered(DOCKER), wire.Looked(*AIRFLOW, until=None, needed=True))
    probe = view.readyz(world.state, world.boot)
    assert probe.ok
    assert probe.verbose() == (
        f"[+]docker/{CONFIG} ok\n[-]airflow/default/docker_default failed: no usable credential\npassed\n"
    )


def test_readyz_says_expired_of_what_has_expired() -> None:
    world = World().served()
    probe = view.readyz(world.wait(LIFE).state, world.boot)
    assert f"[-]docker/{CONFIG} failed: expired\n" in probe.verbose()


def test_readyz_of_a_slot_that_failed_but_holds_something_good_is_ok() -> None:
    world = World().served()
    world.wait(RECHECK_S).turn().finish(world.failed(AIRFLOW))
    assert "[+]airflow/default/docker_default ok" in view.readyz(world.state, world.boot).verbose()


def test_a_name_forges_no_line_of_a_probe_and_moves_no_cursor() -> None:
    secret = KubernetesSecret("ecr-pull", (HOST,), ("jobs\x1b[2J\n[+]docker/all ok",))
    world = World().loaded(structs.replace(plan(), kubernetes=(secret,)))
    lines = view.readyz(world.state, world.boot).verbose().splitlines()
    assert "[-]kubernetes/jobs\\x1b[2J\\n[+]docker/all ok/ecr-pull failed: not looked at yet" in lines
    assert all(line.isprintable() for line in lines)


def test_readyz_without_settings_and_while_stopping_says_so() -> None:
    assert view.readyz(World().turn().state, 1000.0).verbose() == "[-]settings failed: not read yet\nfailed\n"
    probe = view.readyz(World().served().ask("stop").state, 1000.0)
    assert not probe.ok
    assert "[-]running failed: stopping\n" in probe.verbose()


def test_livez_fails_only_for_a_loop_that_hangs() -> None:
    world = World().loaded().say(wire.Refused(("bad",)), wire.Clock(0.0, 1e9))
    assert view.livez(world.state, world.mono).verbose() == "[+]loop ok\npassed\n"
    hung = view.livez(world.state, world.mono + 500)
    assert not hung.ok
    assert hung.verbose() == "[-]loop failed: last turn 500 s ago\nfailed\n"


def test_startupz_passes_once_the_files_are_served() -> None:
    world = World().loaded()
    assert view.startupz(world.state, world.boot).verbose() == (
        "[-]startup failed: the first pass is running\nfailed\n"
    )
    world.say(world.delivered(DOCKER))
    assert view.startupz(world.state, world.boot).ok
