"""`once`: the account of one pass, its exit status, and what people and machines are told."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from msgspec import structs

from ecr_refresher.boot_clock import boot_time
from ecr_refresher.core import wire
from ecr_refresher.core.exits import EXIT_USAGE
from ecr_refresher.core.model import Failure, Outcome, Reason
from ecr_refresher.core.plan import Airflow, Connection, DockerConfig, Plan, Principal, Registry
from ecr_refresher.job.commands import once
from ecr_refresher.job.commands.once import PassReport
from ecr_refresher.job.refresh import run
from ecr_refresher.terminal import Progress, rendered
from tests.unit.test_terminal import Terminal

NOW, H = 1_800_000_000.0, 3600.0
HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
PRINCIPAL = "ecr/us-east-1"
DOCKER, AIRFLOW = ("docker//config.json", HOST), ("airflow/default/docker_default", HOST)
DENIED = Failure(Reason.DENIED, "the password is wrong", "Correct it")


def plan(*, required: bool = True) -> Plan:
    return Plan(
        (Registry(HOST, HOST, Principal("ecr", "us-east-1")),),
        (Airflow("default", "https://airflow", (Connection("docker_default", HOST, required=required),)),),
        (DockerConfig("/config.json", (HOST,)),),
    )


def looked(slot_id: tuple[str, str], left: float | None = None, *, needed: bool = True) -> wire.Looked:
    until = None if left is None else NOW + left
    return wire.Looked(*slot_id, until=until, needed=needed, why="due for renewal" if needed else "fresh")


def written(slot_id: tuple[str, str]) -> wire.Delivered:
    return wire.Delivered(*slot_id, Outcome.WRITTEN, until=NOW + 12 * H)


def failed(slot_id: tuple[str, str], failure: Failure = DENIED) -> wire.Delivered:
    return wire.Delivered(*slot_id, Outcome.FAILED, failure=failure)


def report(*lines: wire.Line, of: Plan | None = None, dry_run: bool = False) -> PassReport:
    taken = PassReport(dry_run)
    for line in (wire.Planned(of or plan()), *lines):
        taken.take(line)
    return taken


def verdict(*lines: wire.Line, of: Plan | None = None, strict: bool = False, dry_run: bool = False) -> int:
    return report(*lines, of=of, dry_run=dry_run).verdict(NOW, strict=strict)[0]


# --- the exit status -------------------------------------------------------------------------------------------------
def test_all_written_is_0() -> None:
    assert verdict(looked(DOCKER), looked(AIRFLOW), written(DOCKER), written(AIRFLOW)) == 0


@pytest.mark.parametrize("outcome", [Outcome.UNCHANGED, Outcome.SKIPPED])
@pytest.mark.parametrize("strict", [False, True])
def test_all_there_already_is_0(outcome: Outcome, strict: bool) -> None:
    fresh = [structs.replace(written(slot_id), outcome=outcome) for slot_id in (DOCKER, AIRFLOW)]
    assert verdict(*fresh, strict=strict) == 0


def test_a_required_slot_that_holds_nothing_and_failed_is_1() -> None:
    assert verdict(looked(DOCKER), written(DOCKER), failed(AIRFLOW)) == 1


@pytest.mark.parametrize(("left", "status"), [(30 * 60, 0), (30 * 60 - 1, 1), (0, 1), (-60, 1)])
def test_a_failure_does_no_harm_while_what_is_held_is_good_for_30_more_minutes(left: float, status: int) -> None:
    assert verdict(looked(AIRFLOW, left), failed(AIRFLOW), written(DOCKER)) == status
    assert verdict(looked(AIRFLOW, left), failed(AIRFLOW), written(DOCKER), strict=True) == 1


def test_a_slot_that_is_not_required_fails_nothing_unless_strict() -> None:
    lines: list[wire.Line] = [looked(AIRFLOW), failed(AIRFLOW), written(DOCKER)]
    assert verdict(*lines, of=plan(required=False)) == 0
    assert verdict(*lines, of=plan(required=False), strict=True) == 1


def test_a_failure_that_does_no_harm_yet_is_a_warning_that_says_why_not() -> None:
    held, not_required = looked(AIRFLOW, 2 * H), plan(required=False)
    assert report(held, failed(AIRFLOW)).verdict(NOW, strict=False)[1] == [
        f"airflow/default/docker_default ({HOST}) failed, but its credential is good until 2027-01-15T10:00:00Z"
    ]
    assert report(failed(AIRFLOW), of=not_required).verdict(NOW, strict=False)[1] == [
        f"airflow/default/docker_default ({HOST}) failed, but it is not required"
    ]


def test_a_failed_fetch_fails_the_slots_that_waited_for_it() -> None:
    lines: list[wire.Line] = [looked(DOCKER), looked(AIRFLOW, 10 * H, needed=False)]
    lines.append(wire.Fetched(PRINCIPAL, 0.1, failure=DENIED))
    waited = structs.replace(failed(DOCKER), attempted=False)
    assert verdict(*lines, waited) == 1
    failures = {slot_id: slot.failure for slot_id, slot in report(*lines, waited).slots.items()}
    assert failures == {DOCKER: DENIED, AIRFLOW: None}


def test_a_second_fetch_that_failed_fails_nobody_who_was_served() -> None:
    lines: list[wire.Line] = [looked(DOCKER), looked(AIRFLOW), wire.Fetched(PRINCIPAL, 0.1, failure=DENIED)]
    assert verdict(*lines, written(DOCKER), written(AIRFLOW), strict=True) == 0


def test_a_dry_run_is_0_when_nothing_failed() -> None:
    assert verdict(looked(DOCKER), looked(AIRFLOW), dry_run=True, strict=True) == 0


def test_a_dry_run_whose_look_fails_is_1() -> None:
    assert verdict(looked(DOCKER), failed(AIRFLOW), dry_run=True) == 1


# --- what is told ----------------------------------------------------------------------------------------------------
def table(told: PassReport, *, terminal: bool = False) -> list[str]:
    stream = Terminal() if terminal else io.StringIO()
    return rendered(once.page(told, told.verdict(NOW, strict=False)[1], NOW), stream).splitlines()


def test_the_table_is_for_people() -> None:
    told = report(looked(DOCKER), looked(AIRFLOW, 10 * H), written(DOCKER), failed(AIRFLOW))
    status, warnings = told.verdict(NOW, strict=False)
    assert status == 0
    assert table(told) == [
        "SINK                            OUTCOME  HELD UNTIL",
        "docker//config.json             written  2027-01-15T20:00:00Z, in 12 h",
        "airflow/default/docker_default  failed   2027-01-15T18:00:00Z, in 10 h",
        "denied: the password is wrong (airflow/default/docker_default)",
        "  fix: Correct it",
        f"warning: {warnings[0]}",
    ]


def test_the_table_has_colours_on_a_terminal_and_is_as_even_as_without() -> None:
    told = report(looked(DOCKER), looked(AIRFLOW, 10 * H), written(DOCKER), failed(AIRFLOW))
    painted = table(told, terminal=True)
    assert "\x1b[32mwritten\x1b[0m" in painted[1]
    assert "\x1b[31mfailed\x1b[0m" in painted[2]
    bare = [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in painted]
    assert bare[:4] == table(told)[:4]


def test_the_table_names_registries_where_there_are_several() -> None:
    partner = Registry("partner", "210987654321.dkr.ecr.eu-west-1.amazonaws.com", Principal("ecr", "eu-west-1"))
    two = structs.replace(plan(), registries=(*plan().registries, partner), airflows=())
    two = structs.replace(two, dockers=(DockerConfig("/config.json", (HOST, "partner")),))
    told = report(written(DOCKER), written(("docker//config.json", "partner")), of=two)
    assert table(told) == [
        "SINK                 OUTCOME  HELD UNTIL                     REGISTRY",
        f"docker//config.json  written  2027-01-15T20:00:00Z, in 12 h  {HOST}",
        "docker//config.json  written  2027-01-15T20:00:00Z, in 12 h  partner",
    ]


def test_a_failure_of_many_is_told_once() -> None:
    connections = tuple(Connection(f"team_{number}", HOST) for number in range(5))
    many = structs.replace(plan(), airflows=(Airflow("default", "https://airflow", connections),), dockers=())
    told = report(*(failed((f"airflow/default/team_{number}", HOST)) for number in range(5)), of=many)
    names = ", ".join(f"airflow/default/team_{number}" for number in range(3))
    assert table(told)[6:] == [f"denied: the password is wrong ({names} and 2 more)", "  fix: Correct it"]


def test_the_table_of_a_dry_run_says_why() -> None:
    told = report(looked(DOCKER), looked(AIRFLOW, 10 * H, needed=False), dry_run=True)
    lines = table(told)
    assert "would write (due for renewal)" in lines[1]
    assert lines[1].endswith(" -")
    assert "  fresh " in lines[2]
    assert "fresh (" not in lines[2]


def test_nothing_from_outside_moves_the_cursor_or_forges_a_line() -> None:
    hostile = Failure(Reason.DENIED, "it says \x1b[2J\nwritten", "Ask \x9b1m")
    at = ("docker//home/\x1b]0;x\x07/config.json", HOST)
    of = structs.replace(plan(), airflows=(), dockers=(DockerConfig(at[0].removeprefix("docker/"), (HOST,)),))
    lines = table(report(failed(at, hostile), of=of))
    assert len(lines) == 4
    assert "\x1b" not in "".join(lines)
    assert "\x9b" not in "".join(lines)
    assert lines[2].startswith("denied: it says \\x1b[2J\\nwritten")


def test_progress_says_how_far_it_has_come() -> None:
    told = PassReport()
    said = [told.progress()]
    lines: list[wire.Line] = [looked(DOCKER), looked(AIRFLOW), written(DOCKER), failed(AIRFLOW)]
    for line in [wire.Planned(plan()), *lines]:
        told.take(line)
        said.append(told.progress())
    assert said == [
        "reading the settings",
        "looked at 0 of 2",
        "looked at 1 of 2",
        "served 0 of 2",
        "served 1 of 2",
        "served 2 of 2",
    ]
    assert report(looked(DOCKER), looked(AIRFLOW), dry_run=True).progress() == "done"
    fresh = [looked(slot_id, 10 * H, needed=False) for slot_id in (DOCKER, AIRFLOW)]
    assert report(*fresh).progress() == "done"


def test_the_document_is_for_machines() -> None:
    told = report(looked(DOCKER), looked(AIRFLOW, 10 * H), written(DOCKER), failed(AIRFLOW))
    assert once.document(told, 0, ["a warning"]) == {
        "status": 0,
        "dry_run": False,
        "slots": [
            {
                "sink": "docker//config.json",
                "registry": HOST,
                "required": True,
                "outcome": "written",
                "held_until": "2027-01-15T20:00:00Z",
                "error": None,
            },
            {
                "sink": "airflow/default/docker_default",
                "registry": HOST,
                "required": True,
                "outcome": "failed",
                "held_until": "2027-01-15T18:00:00Z",
                "error": {"reason": "denied", "message": "the password is wrong", "fix": "Correct it"},
            },
        ],
        "warnings": ["a warning"],
    }


def test_the_own_registry_found_out_later_replaces_what_stood_for_it() -> None:
    unknown = Plan((Registry("default", "", Principal("ecr", "us-east-1")),), (), (DockerConfig("/c", ("default",)),))
    told = report(wire.Planned(plan()), written(DOCKER), written(AIRFLOW), of=unknown)
    assert set(told.slots) == {DOCKER, AIRFLOW}
    assert told.verdict(NOW, strict=True) == (0, [])


# --- refused settings ------------------------------------------------------------------------------------------------
def test_wrong_settings_are_status_2_every_error_is_reported_and_once_prints_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ECR_REFRESHER_REGISTRIES", "ECR_REFRESHER_LISTEN"):
        monkeypatch.delenv(name, raising=False)
    settings = tmp_path / "settings.yaml"
    settings.write_text("registries: [not-a-host]\nserver: {listen: nowhere}\n")
    refused: list[wire.Line] = []
    load = wire.Load(str(settings))
    assert run.execute(wire.Job(1, boot_time() + 60, load=load), refused.append) == EXIT_USAGE == 2
    (line,) = refused
    assert isinstance(line, wire.Refused)
    assert len(line.errors) == 2
    assert capfd.readouterr().err == "", "a worker's word for a running daemon, whose log is JSON"
    quiet = io.StringIO()
    done = once.run(load, Progress(quiet), force=False, dry_run=False, strict=False)
    assert (done.status, quiet.getvalue()) == (2, "")
    assert capfd.readouterr().err.splitlines() == [f"ecr-refresher: settings: {error}" for error in line.errors]
