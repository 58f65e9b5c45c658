"""Times and slots in the words of people."""

from __future__ import annotations

from typing import Any

import pytest

from ecr_refresher.core import phrases

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
H = 3600.0


def slot(**changed: Any) -> dict[str, Any]:
    return {
        "required": True,
        "held_until": "2027-01-15T11:12:00Z",
        "outcome": "written",
        "last_error": None,
        "next": "renewal",
        "next_at": "2027-01-15T09:00:00Z",
        **changed,
    }


ERROR = {"reason": "denied", "message": "the password is wrong", "fix": "Correct it", "at": "2027-01-15T07:57:00Z"}
WAITING = slot(held_until=None, outcome=None)
EXPIRED = slot(held_until="2027-01-15T07:55:00Z")
FAILED = slot(held_until=None, outcome="failed", last_error=ERROR)
SHAKY = slot(outcome="failed", last_error=ERROR)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0.9, "0 s"),
        (45, "45 s"),
        (59.99, "59 s"),
        (60, "1 min"),
        (119, "1 min"),
        (3 * H + 12 * 60, "3 h 12 min"),
        (3 * H + 59, "3 h"),
        (24 * H, "1 d"),
        (24 * H + 600, "1 d"),
        (52 * H, "2 d 4 h"),
    ],
)
def test_a_duration_is_said_in_two_units_at_most_and_never_rounded_up(seconds: float, text: str) -> None:
    assert phrases.span(seconds) == text


@pytest.mark.parametrize(
    ("ahead", "text"),
    [(3 * H + 12 * 60, "in 3 h 12 min"), (-300, "5 min ago"), (0.5, "now"), (-0.5, "now"), (1, "in 1 s")],
)
def test_a_moment_is_said_from_here(ahead: float, text: str) -> None:
    assert phrases.when(NOW + ahead, NOW) == text


def test_a_time_of_status_is_read() -> None:
    assert phrases.seconds("2027-01-15T08:00:00Z") == NOW
    assert phrases.seconds(None) is None


@pytest.mark.parametrize(
    ("found", "health", "holds"),
    [
        (slot(), phrases.GOOD, "good for 3 h 12 min"),
        (SHAKY, phrases.SHAKY, "good for 3 h 12 min"),
        (EXPIRED, phrases.OUT, "expired 5 min ago"),
        (slot(held_until="2027-01-15T08:00:00Z"), phrases.OUT, "expired just now"),
        (FAILED, phrases.OUT, "no usable credential"),
        (WAITING, phrases.WAITING, "not looked at yet"),
    ],
)
def test_a_slot_is_said_by_what_it_holds(found: dict[str, Any], health: str, holds: str) -> None:
    assert phrases.health(found, NOW) == health
    assert phrases.holds(found, NOW) == holds


def test_the_next_step_is_said_with_its_time() -> None:
    assert phrases.next_step(slot(), NOW) == "renewal in 1 h"
    assert phrases.next_step(slot(next="retry", next_at="2027-01-15T08:00:45Z"), NOW) == "retry in 45 s"
    assert phrases.next_step(slot(next="look", next_at="2027-01-15T08:00:00Z"), NOW) == "next look now"
    assert phrases.next_step(slot(next_at=None), NOW) == ""


def test_an_error_is_said_with_its_reason_and_age() -> None:
    assert phrases.error_words(ERROR, NOW) == "denied, 3 min ago"
    assert phrases.error_words({**ERROR, "at": "2027-01-15T08:00:00Z"}, NOW) == "denied, just now"
    assert phrases.error_words({**ERROR, "at": None}, NOW) == "denied"


def test_what_is_the_registry_s_trouble_is_not_each_slot_s_too() -> None:
    own: dict[str, Any] = {"name": "own", "last_error": ERROR}
    assert phrases.trouble(FAILED, own) is None
    assert phrases.trouble(FAILED, {**own, "last_error": None}) == ERROR
    assert phrases.trouble({**FAILED, "last_error": {**ERROR, "message": "?"}}, own) is not None
    assert phrases.trouble(slot(), own) is None


@pytest.mark.parametrize(
    ("slots", "ready", "live", "verdict"),
    [
        ([slot()], True, True, phrases.GOOD),
        ([], True, True, phrases.GOOD),
        ([slot(), SHAKY], True, True, phrases.SHAKY),
        ([slot(), EXPIRED], True, True, phrases.SHAKY),
        ([slot(), EXPIRED, WAITING], False, True, phrases.OUT),
        ([slot(), WAITING], False, True, phrases.WAITING),
        ([], False, True, phrases.WAITING),
        ([slot()], False, True, phrases.OUT),
        ([slot()], True, False, phrases.OUT),
        ([], False, False, phrases.OUT),
    ],
)
def test_the_whole_is_as_good_as_its_readiness(
    slots: list[dict[str, Any]], ready: bool, live: bool, verdict: str
) -> None:
    assert phrases.verdict({"live": live, "ready": ready, "slots": slots}, NOW) == verdict


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"delivered_at": "2027-01-15T05:00:00Z"}, "written 3 h ago"),
        ({"delivered_at": None}, "found fresh"),
        ({"delivered_at": None, "held_until": None}, "never written"),
    ],
)
def test_the_last_delivery_is_said_with_its_age(changed: dict[str, Any], text: str) -> None:
    assert phrases.last_delivery(slot(**changed), NOW) == text


def test_a_clock_that_is_off_is_said_with_its_direction() -> None:
    assert phrases.skew(400.0) == "6 min ahead of AWS's"
    assert phrases.skew(-3.2) == "3 s behind AWS's"


@pytest.mark.parametrize(
    ("slots", "ready", "text"),
    [
        ([], False, "The daemon is reading its settings."),
        ([], True, "There is nothing to keep fresh."),
        ([slot()], True, "The only sink holds a credential."),
        ([slot(), slot()], True, "All 2 sinks hold a credential."),
        ([slot(), SHAKY], True, "All 2 sinks hold a credential, but 1 could not be renewed or looked at."),
        ([slot(), EXPIRED], False, "1 of 2 sinks has no credential."),
        ([SHAKY, EXPIRED], False, "1 of 2 sinks has no credential, and 1 could not be renewed or looked at."),
        ([slot(), EXPIRED, FAILED], False, "2 of 3 sinks have no credential."),
        ([slot(), {**FAILED, "required": False}], True, "1 of 2 sinks has no credential."),
        ([WAITING], False, "The only sink has no credential yet."),
        ([WAITING, FAILED], False, "None of the 2 sinks has a credential."),
        ([slot(), slot()], False, "The daemon is stopping."),
        ([slot(), {**FAILED, "required": False}], False, "The daemon is stopping."),
    ],
)
def test_the_whole_is_one_sentence(slots: list[dict[str, Any]], ready: bool, text: str) -> None:
    assert phrases.summary({"live": True, "ready": ready, "slots": slots}, NOW) == text


def test_a_daemon_that_hangs_is_said_first() -> None:
    status = {"live": False, "ready": True, "slots": [slot()]}
    assert phrases.summary(status, NOW) == "The daemon hangs: its loop does not turn."


def test_thousands_of_slots_are_put_beside_their_registries_in_one_look_at_each() -> None:
    asked = 0

    class Counted(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            nonlocal asked
            asked += 1
            return super().__getitem__(key)

    names = [f"r{number}" for number in range(300)]
    status = {"registries": [{"name": name} for name in names], "slots": [Counted(slot(registry=n)) for n in names]}
    found = phrases.registries(status)
    assert [(registry["name"], [number for number, _ in slots]) for registry, slots in found] == [
        (name, [number]) for number, name in enumerate(names)
    ]
    assert asked <= 3 * len(names)
