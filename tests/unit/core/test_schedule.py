"""When: renewals, retries, limits, and what is made of AWS's `Date`."""

from __future__ import annotations

from math import floor
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher.core import schedule
from ecr_refresher.core.model import Failure, Reason
from ecr_refresher.core.plan import Refresh

RULES = Refresh()
LIFE = 12 * 3600.0
rolls = st.floats(0, 1, exclude_max=True)
lives = st.floats(20, 30 * 86400)
moments = st.floats(1.6e9, 2.5e9)
tries = st.integers(1, 10_000)
transient = Failure(Reason.TRANSIENT, "no answer")
denied = Failure(Reason.DENIED, "no right to edit connections")
refused = Failure(Reason.DENIED, "wrong password", login_refused=True)


# --- renewal ---------------------------------------------------------------------------------------------------------
@given(moments, lives, rolls)
def test_a_renewal_lies_within_the_jitter_around_its_fraction_of_the_life(
    issued: float, life: float, roll: float
) -> None:
    due = schedule.renewal_at(issued, issued + life, RULES, roll)
    slack = 1e-5 * life + 1e-5
    assert issued + life * (RULES.at_fraction - RULES.jitter) - slack <= due
    assert due <= issued + life * (RULES.at_fraction + RULES.jitter) + slack


@given(moments, lives, rolls, st.floats(0.01, 1.5), st.floats(0, 0.9), st.none() | st.floats(1, 1e7))
def test_a_renewal_is_never_before_the_issue_nor_past_the_expiry(
    issued: float, life: float, roll: float, fraction: float, jitter: float, max_age: float | None
) -> None:
    rules = Refresh(at_fraction=fraction, jitter=jitter, max_age=max_age)
    assert issued <= schedule.renewal_at(issued, issued + life, rules, roll) <= issued + life


@given(moments, lives, rolls, st.floats(1, 1e5))
def test_max_age_forces_a_renewal_earlier_and_never_later(
    issued: float, life: float, roll: float, max_age: float
) -> None:
    without = schedule.renewal_at(issued, issued + life, RULES, roll)
    within = schedule.renewal_at(issued, issued + life, Refresh(max_age=max_age), roll)
    assert within == min(without, issued + max_age)


@given(rolls, rolls)
def test_a_later_roll_is_a_later_renewal(one: float, other: float) -> None:
    early, late = sorted([one, other])
    assert schedule.renewal_at(0, LIFE, RULES, early) <= schedule.renewal_at(0, LIFE, RULES, late)


def test_without_jitter_every_daemon_renews_at_the_fraction() -> None:
    rules = Refresh(at_fraction=0.5, jitter=0.0)
    assert {schedule.renewal_at(0, 100, rules, roll) for roll in (0, 0.3, 0.999)} == {50.0}


def test_few_draw_early_so_that_the_first_to_act_spares_all_others() -> None:
    drawn = [schedule.renewal_at(0, LIFE, RULES, (index + 0.5) / 1000) for index in range(1000)]
    earliest, latest = LIFE * (RULES.at_fraction - RULES.jitter), LIFE * (RULES.at_fraction + RULES.jitter)
    assert median(drawn) > earliest + 0.85 * (latest - earliest)
    assert sum(due < (earliest + latest) / 2 for due in drawn) < 30
    assert drawn[1] - drawn[0] > 300  # of a thousand, the first is alone for minutes: time enough to fetch and write


# --- retry -----------------------------------------------------------------------------------------------------------
def test_the_pauses_grow_from_the_first_to_the_longest() -> None:
    longest = [schedule.retry_pause(transient, n, 0, RULES, 0.999_999_9) for n in range(1, 9)]
    assert longest == pytest.approx([10, 20, 40, 80, 160, 300, 300, 300], rel=1e-3)
    assert [schedule.retry_pause(transient, n, 0, RULES, 0.0) for n in (1, 5, 10_000)] == [5, 5, 5]


@given(st.sampled_from(Reason), tries, st.floats(-1e6, 1e6), rolls)
def test_a_pause_stays_within_its_bounds(reason: Reason, n: int, left: float, roll: float) -> None:
    pause = schedule.retry_pause(Failure(reason, ""), n, left, RULES, roll)
    assert schedule.PAUSE_MIN_S <= pause <= RULES.retry_max


@given(st.sampled_from(Reason), tries, st.floats(4, 1e6), rolls)
def test_while_there_is_life_left_no_pause_is_longer_than_a_quarter_of_it(
    reason: Reason, n: int, left: float, roll: float
) -> None:
    assert schedule.retry_pause(Failure(reason, ""), n, left, RULES, roll) <= left / 4


@given(tries, rolls)
def test_denied_starts_at_a_minute(n: int, roll: float) -> None:
    assert schedule.retry_pause(denied, n, 0, RULES, roll) >= 60
    assert schedule.retry_pause(denied, 1, 0, RULES, roll) <= 120


@given(tries, st.floats(-1e6, 1e6), rolls, st.floats(1, 300))
def test_a_refused_login_is_tried_at_most_twelve_times_an_hour_whatever_hurries(
    n: int, left: float, roll: float, retry_max: float
) -> None:
    pause = schedule.retry_pause(refused, n, left, Refresh(retry_max=retry_max), roll)
    assert 3600 / pause <= 12
    assert pause <= 330


@given(tries, st.floats(0, 3600), rolls)
def test_a_pause_is_at_least_what_retry_after_says_and_spread_as_usual(n: int, after: float, roll: float) -> None:
    told = Failure(Reason.THROTTLED, "429", retry_after_s=after)
    spread = schedule.retry_pause(transient, n, 0, RULES, roll) - RULES.retry_first
    assert schedule.retry_pause(told, n, 0, RULES, roll) == pytest.approx(max(after + spread, schedule.PAUSE_MIN_S))


def test_retry_after_neither_outlasts_a_quarter_of_the_life_left_nor_an_hour() -> None:
    told = Failure(Reason.THROTTLED, "429", retry_after_s=86_400.0)
    assert schedule.retry_pause(told, 1, 400, RULES, 0.5) == 100
    assert schedule.retry_pause(told, 1, 0, RULES, 0.0) == schedule.RETRY_AFTER_MAX_S


def test_a_first_pause_above_the_longest_is_the_pause() -> None:
    assert schedule.retry_pause(transient, 3, 0, Refresh(retry_first=30, retry_max=10), 0.7) == 30


# --- the pass's limit ------------------------------------------------------------------------------------------------
def test_a_pass_takes_no_more_than_its_deadline_or_a_quarter_of_the_shortest_life() -> None:
    assert schedule.pass_limit(RULES, []) == 60
    assert schedule.pass_limit(RULES, [40_000, 100]) == 25
    assert schedule.pass_limit(RULES, [40_000, 0, -7]) == 60


def test_a_slot_that_is_about_to_expire_or_says_so_leaves_a_pass_the_time_for_all_others() -> None:
    assert schedule.pass_limit(RULES, [40_000, 1]) == schedule.PASS_MIN_S
    assert schedule.pass_limit(Refresh(deadline=10), [40_000, 1]) == 10


@given(st.floats(1, 3600), st.lists(st.floats(-1e6, 1e6)))
def test_a_limit_is_never_below_what_a_worker_needs_nor_above_the_deadline(deadline: float, left: list[float]) -> None:
    limit = schedule.pass_limit(Refresh(deadline=deadline), left)
    assert min(schedule.PASS_MIN_S, deadline) <= limit <= deadline


# --- the clock -------------------------------------------------------------------------------------------------------
@given(st.floats(-1e9, 1e9), st.floats(0, 1e6), st.floats(0, 60), st.floats(-1e6, 1e6))
def test_an_answer_narrows_the_offset_to_what_it_allows(
    known: float, sent: float, took: float, true_offset: float
) -> None:
    answered = sent + took
    date = float(floor(sent + took / 2 + true_offset))  # AWS wrote it somewhere in between, cut to seconds
    offset = schedule.clamp_offset(known, sent, answered, date)
    assert date - answered - 1e-6 <= offset <= date + 1 - sent + 1e-6
    assert abs(offset - true_offset) <= 1 + took + 1e-6


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.floats(0, 60), st.floats(0, 1))
def test_what_was_known_stays_wherever_the_answer_allows_it(
    known: float, sent: float, took: float, share: float
) -> None:
    date = sent + known + took * share - share  # somewhere in the second that ends with the known time
    offset = schedule.clamp_offset(known, sent, sent + took, date)
    assert offset == pytest.approx(known, abs=1e-6)


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.floats(0, 60), st.floats(-1e6, 1e6))
def test_the_same_answer_twice_changes_nothing_more(known: float, sent: float, took: float, date: float) -> None:
    once = schedule.clamp_offset(known, sent, sent + took, date)
    assert schedule.clamp_offset(once, sent, sent + took, date) == once
