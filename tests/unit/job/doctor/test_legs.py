"""Legs are tried in the order of what stands on what, side by side, within their limits; the report shows them all."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Sequence

import pytest

from ecr_refresher.core.model import Failed, Reason
from ecr_refresher.job.commands import check
from ecr_refresher.job.doctor.findings import Finding, Row, Verdict, failed, ok, warning
from ecr_refresher.job.doctor.trying import Leg, try_all
from ecr_refresher.terminal import rendered
from tests.unit.test_terminal import Terminal


def leg(name: str, act: Callable[[], Sequence[Finding]] = lambda: [ok("fine")], **more: object) -> Leg:
    return Leg(name, "x", f"tried {name}", act, **more)  # type: ignore[arg-type]


def broken() -> Sequence[Finding]:
    raise Failed(Reason.DENIED, "it says no", "Grant it")


def verdicts(legs: Sequence[Leg], done: Sequence[Row] = ()) -> dict[str, Verdict]:
    return {row.leg: row.verdict for row in try_all(legs, done)}


def test_what_stands_on_a_failed_leg_is_not_tried_and_names_the_first_that_failed() -> None:
    rows = try_all([leg("a", broken), leg("b", after=(("a", "x"),)), leg("c", after=(("b", "x"),)), leg("d")])
    assert [row.verdict for row in rows] == [Verdict.FAILED, Verdict.NOT_TRIED, Verdict.NOT_TRIED, Verdict.OK]
    assert {row.findings[0].text for row in rows[1:3]} == {"'a' of x failed"}


def test_a_warning_does_not_keep_others_from_being_tried() -> None:
    legs = [leg("a", lambda: [warning("odd", "see to it")]), leg("b", after=(("a", "x"),))]
    assert verdicts(legs) == {"a": Verdict.WARNING, "b": Verdict.OK}


def test_a_leg_that_only_waits_for_another_is_tried_however_that_ended() -> None:
    ended: list[str] = []

    def late() -> Sequence[Finding]:
        threading.Event().wait(0.05)
        ended.append("a")
        return broken()

    def last() -> Sequence[Finding]:
        ended.append("b")
        return [ok("fine")]

    assert verdicts([leg("b", last, waits_for=(("a", "x"),)), leg("a", late)])["b"] is Verdict.OK
    assert ended == ["a", "b"]


def test_legs_may_stand_on_what_was_tried_before() -> None:
    done = [Row("own registry", "x", "asked", (failed("no", "yes"),))]
    assert verdicts([leg("a", after=(("own registry", "x"),))], done) == {"a": Verdict.NOT_TRIED}


def test_what_is_not_required_only_warns_but_still_stops_what_stands_on_it() -> None:
    legs = [leg("a", broken, required=False), leg("b", after=(("a", "x"),))]
    assert verdicts(legs) == {"a": Verdict.WARNING, "b": Verdict.NOT_TRIED}


def test_legs_run_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=20)

    def meet() -> Sequence[Finding]:
        meeting.wait()
        return [ok("met")]

    assert set(verdicts([leg("a", meet), leg("b", meet)]).values()) == {Verdict.OK}


def test_a_leg_that_hangs_is_given_up_at_its_limit_and_stops_nobody() -> None:
    release = threading.Event()

    def hang() -> Sequence[Finding]:
        release.wait(20)
        return [ok("late")]

    rows = try_all([leg("a", hang, limit_s=0.2), leg("b")])
    release.set()
    assert [row.verdict for row in rows] == [Verdict.FAILED, Verdict.OK]
    assert "no answer within" in rows[0].findings[0].text


def test_it_says_how_far_it_is_and_which_legs_are_being_tried() -> None:
    said: list[str] = []
    try_all([leg("a"), leg("b", after=(("a", "x"),)), leg("c", broken)], (), said.append)
    assert said[0] == "tried 0 of 3, now a of x"
    assert "tried 1 of 3, now b of x" in said or "tried 2 of 3, now b of x" in said
    assert {"a of x", "b of x", "c of x"} <= {legs for line in said for legs in line.partition("now ")[2].split(", ")}


def test_a_fault_of_ours_is_told_without_its_values() -> None:
    def stumble() -> Sequence[Finding]:
        raise ValueError("a-secret-value")

    (row,) = try_all([leg("a", stumble)])
    assert row.verdict is Verdict.FAILED
    assert "ValueError at test_legs.py" in row.findings[0].text
    assert "a-secret-value" not in repr(row)


# --- the report


FAR = "https://" + "x" * 150
ROWS = [
    Row("settings", "file", "read the settings", (ok("2 registries"),), 0.1),
    Row("route", FAR, f"connected to {FAR}", (failed("refused", "see whether it is up"),)),
    Row("entry", "x", "looked", (warning("an old entry", "log out"), ok("good until tomorrow"))),
    Row("token", "y", "asked", (Finding(Verdict.NOT_TRIED, "'route' of z failed"),)),
]


def table(rows: Sequence[Row], stream: io.StringIO | None = None) -> str:
    return rendered(check.page(rows), stream or io.StringIO())


def test_the_table_is_100_columns_wide_at_most_and_even() -> None:
    lines = table(ROWS).splitlines()
    assert max(map(len, lines)) <= 100
    starts = [line.index(row.leg) for row in ROWS for line in lines if f" {row.leg} " in line and line[0] != " "]
    assert len(set(starts)) == 1


def test_the_table_says_the_finding_and_then_the_fix() -> None:
    text = table(ROWS)
    refused, fix = (
        next(n for n, line in enumerate(text.splitlines()) if word in line) for word in ("refused.", "Fix: see")
    )
    assert fix == refused + 1
    assert "read the settings: 2 registries" in text
    assert "ok: good until tomorrow." in text
    assert text.endswith("1 ok, 1 warning, 1 FAILED, 1 not tried")


def test_the_verdict_is_painted_by_its_meaning() -> None:
    text = table(ROWS, Terminal())
    assert [word for word in ("32mok", "33mwarning", "31mFAILED", "2mnot tried") if f"\x1b[{word}" not in text] == []


def test_machines_get_the_same_with_the_exit_status() -> None:
    document = json.loads(json.dumps(check.document(ROWS, 1)))
    assert document["status"] == 1
    assert document["counts"] == {"ok": 1, "warning": 1, "failed": 1, "not_tried": 1}
    assert document["legs"][1]["findings"] == [{"verdict": "failed", "text": "refused", "fix": "see whether it is up"}]
    assert document["legs"][0] == {
        "leg": "settings",
        "subject": "file",
        "verdict": "ok",
        "tried": "read the settings",
        "seconds": 0.1,
        "findings": [{"verdict": "ok", "text": "2 registries", "fix": None}],
    }


@pytest.mark.parametrize("show", [table, lambda rows: json.dumps(check.document(rows, 1))])
def test_no_secret_gets_through(show: Callable[[Sequence[Row]], str]) -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJvcGVyIn0.c2lnbmF0dXJl"
    assert token not in show([Row("a", token, token, (failed(token, token),))])


def test_nothing_from_outside_moves_the_cursor_or_forges_a_line() -> None:
    hostile = "x\x1b[2J\r\nok   all is well\x9b1m"
    text = table([Row("a", hostile, hostile, (failed(hostile, hostile),))])
    assert not set(text) & {"\x1b", "\r", "\x9b"}
    assert len(text.splitlines()) == 6
