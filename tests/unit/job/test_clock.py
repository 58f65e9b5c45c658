"""The clock of a pass: wall time until AWS has said better, and the boot clock from then on."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from ecr_refresher.boot_clock import boot_time
from ecr_refresher.core.plan import Plan, Principal, Registry
from ecr_refresher.job.aws.clock import AwsClock, not_to_set_the_clock

NOW = 1_800_000_000.0


class Machine:
    """A machine's two clocks."""

    def __init__(self, wall_error: float = 0.0) -> None:
        self.boot, self.wall_error = 500.0, wall_error
        self.told: list[tuple[float, float]] = []

    @property
    def true(self) -> float:
        return NOW + self.boot - 500.0

    def clock(self, offset: float | None = None) -> AwsClock:
        return AwsClock(
            offset,
            boot=lambda: self.boot,
            wall=lambda: self.true + self.wall_error,
            on_change=lambda offset, skew: self.told.append((offset, skew)),
        )


def test_the_wall_clock_counts_until_aws_has_said_its_time() -> None:
    machine = Machine(wall_error=1234.0)
    assert machine.clock().now() == NOW + 1234.0


def test_what_the_daemon_has_measured_counts_from_the_start() -> None:
    machine = Machine(wall_error=1234.0)
    assert machine.clock(NOW - 500.0).now() == NOW


@pytest.mark.parametrize("error", [-86400.0, -1.5, 0.0, 0.3, 400.0, 1e8])
def test_the_date_of_an_answer_puts_it_right_to_within_a_second(error: float) -> None:
    machine = Machine(error)
    clock = machine.clock()
    machine.boot += 0.2
    clock.observe(500.0, formatdate(machine.true, usegmt=True))
    assert abs(clock.now() - machine.true) <= 1.2
    ((offset, skew),) = machine.told
    assert offset == pytest.approx(NOW - 500.0, abs=1.2)
    assert skew == pytest.approx(error, abs=1.2)


def test_a_good_clock_is_left_as_it_is() -> None:
    machine = Machine(wall_error=0.0)
    clock = machine.clock()
    machine.boot += 0.2
    clock.observe(500.0, formatdate(machine.true, usegmt=True))
    assert clock.now() == machine.true
    assert machine.told == [(NOW - 500.0, 0.0)]


def test_once_measured_a_stepped_wall_clock_is_a_non_event() -> None:
    machine = Machine()
    clock = machine.clock()
    clock.observe(500.0, formatdate(machine.true, usegmt=True))
    machine.wall_error = -9999.0
    machine.boot += 60
    assert clock.now() == pytest.approx(machine.true, abs=1.0)


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "yesterday",
        "Fri, 99 Jan 2027 08:00:00 GMT",
        "Fri, 15 Jan 2027 08:00:00 +9999999999",
        "Fri, 15 Jan 99999999999 08:00:00 GMT",
        "\x00",
    ],
)
def test_a_date_that_makes_no_sense_changes_nothing(date: str | None) -> None:
    machine = Machine()
    clock = machine.clock()
    clock.observe(500.0, date)
    assert machine.told == []
    assert clock.now() == NOW


def test_the_boot_clock_is_that_of_the_machine() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= boot_time() <= time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.mark.parametrize(
    ("urls", "silenced"),
    [
        ((None, None), ()),
        ((None, "https://ecr.lab.example"), ("https://ecr.lab.example",)),
        (("https://ecr.lab.example", "https://ecr.lab.example"), ()),
        (("https://a.lab.example", "https://b.lab.example"), ("https://a.lab.example", "https://b.lab.example")),
        (
            (
                "https://vpce-1.api.ecr.us-east-1.vpce.amazonaws.com",
                "https://vpce-2.api.ecr.eu-west-1.vpce.amazonaws.com",
            ),
            (),
        ),
        ((None, "http://api.ecr.us-east-1.amazonaws.com"), ("http://api.ecr.us-east-1.amazonaws.com",)),
        ((None, "https://amazonaws.com.evil.example"), ("https://amazonaws.com.evil.example",)),
    ],
)
def test_an_endpoint_of_some_registries_sets_no_clock_unless_it_is_aws_s(
    urls: tuple[str | None, ...], silenced: tuple[str, ...]
) -> None:
    registries = (
        Registry(f"r{number}", f"r{number}", Principal("ecr", "us-east-1", endpoint_url=url))
        for number, url in enumerate(urls)
    )
    assert not_to_set_the_clock(Plan(tuple(registries))) == set(silenced)
