"""Whether what a slot holds is good enough, and whether a credential may be written over it."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ecr_refresher.core import decide
from ecr_refresher.core.decide import Need
from ecr_refresher.core.model import Credential, Holding, Secret
from ecr_refresher.core.plan import Refresh
from ecr_refresher.core.wire import Order

NOW, LIFE = 1_800_000_000.0, 43_200.0
RULES = Refresh()
H = 3600.0
lives = st.floats(60, 30 * 86400)
lefts = st.floats(-40 * 86400, 40 * 86400)
UNKNOWN = Order("sink", "registry")


def held(left: float | None, *, own: bool = False) -> Holding:
    return Holding(None if left is None else NOW + left, own_record=own)


def expected(left: float, *, due: bool = False) -> Order:
    return Order("sink", "registry", NOW + left, due)


@pytest.mark.parametrize(
    ("holding", "expectation", "answer"),
    [
        (held(None), UNKNOWN, Need.MISSING),
        (held(None), expected(9 * H), Need.MISSING),
        (held(-1), UNKNOWN, Need.EXPIRED),
        (held(0), UNKNOWN, Need.EXPIRED),
        (held(-1, own=True), UNKNOWN, Need.EXPIRED),
        (held(12 * H), UNKNOWN, Need.NONE),
        (held(5 * H), UNKNOWN, Need.NONE),  # 4 h is a third of the life
        (held(3.9 * H), UNKNOWN, Need.DUE),
        (held(12 * H + 590), UNKNOWN, Need.NONE),
        (held(12 * H + 610), UNKNOWN, Need.UNBELIEVABLE),
        (held(12 * H + 610, own=True), UNKNOWN, Need.NONE),
        (held(3 * H), expected(3 * H), Need.NONE),  # drawn late, and what was drawn for is there
        (held(5 * H), expected(5 * H, due=True), Need.DUE),  # drawn early
        (held(5 * H), expected(5 * H + 30, due=True), Need.DUE),  # another's, of the same moment
        (held(9 * H), expected(5 * H, due=True), Need.NONE),  # somebody renewed since: the draw was not for that
        (held(3 * H), expected(2 * H), Need.DUE),  # newer than expected, and due by the rule
        (held(5 * H), expected(9 * H), Need.SPOILED),
        (held(5 * H, own=True), expected(9 * H), Need.SPOILED),
        (held(5 * H), expected(-1 * H), Need.NONE),  # what was expected has died: nothing was spoiled
        (held(13 * H), expected(9 * H), Need.UNBELIEVABLE),
        (held(-1), expected(9 * H), Need.EXPIRED),
    ],
)
def test_the_table_of_needs(holding: Holding, expectation: Order, answer: Need) -> None:
    assert decide.need(holding, expectation, NOW, LIFE, RULES) is answer


@given(st.none() | lefts, st.none() | lefts, st.booleans(), st.booleans(), lives)
def test_whoever_asks_for_it_gets_it(
    left: float | None, wanted: float | None, due: bool, own: bool, life: float
) -> None:
    expectation = Order("sink", "registry", None if wanted is None else NOW + wanted, due)
    assert decide.need(held(left, own=own), expectation, NOW, life, RULES, force=True) is Need.FORCED


@given(lives, st.floats(0.34, 1.0), st.booleans())
def test_what_nobody_is_expected_to_have_written_is_left_alone_while_fresh(
    life: float, share: float, own: bool
) -> None:
    assert decide.need(held(share * life, own=own), UNKNOWN, NOW, life, RULES) is Need.NONE


@given(lives, lefts, lefts, st.booleans())
def test_the_asker_s_own_draw_binds_only_what_it_was_drawn_for(
    life: float, left: float, wanted: float, own: bool
) -> None:
    assume(abs(left - wanted) > decide.tolerance(life) + 1e-3)
    holding = held(left, own=own)
    answers = [decide.need(holding, expected(wanted, due=due), NOW, life, RULES) for due in (False, True)]
    assert answers[0] is answers[1]


@given(lives, st.floats(0.01, 1.0), st.booleans(), st.booleans())
def test_what_was_drawn_for_is_renewed_when_its_draw_says_so(life: float, share: float, due: bool, own: bool) -> None:
    left = share * life
    answer = decide.need(held(left, own=own), expected(left, due=due), NOW, life, RULES)
    assert answer is (Need.DUE if due else Need.NONE)


@given(lives, st.floats(0, 1e9))
def test_a_marker_later_than_a_fresh_token_could_be_is_not_believed(life: float, beyond: float) -> None:
    left = max(life, LIFE) + decide.BELIEVABLE_GRACE_S + 1 + beyond
    assert decide.need(held(left), UNKNOWN, NOW, life, RULES) is Need.UNBELIEVABLE
    assert not decide.believed(held(left), NOW, life)


@given(lives, st.floats(0, 1e9))
def test_our_own_record_is_believed_by_a_wrong_clock_too_but_not_without_bounds(life: float, beyond: float) -> None:
    longest = 2 * max(life, LIFE)
    assert decide.need(held(longest - 1, own=True), UNKNOWN, NOW, life, RULES) is Need.NONE
    assert decide.need(held(longest + 1 + beyond, own=True), UNKNOWN, NOW, life, RULES) is Need.UNBELIEVABLE


def test_one_short_lived_token_does_not_show_that_all_others_are() -> None:
    assert decide.believed(held(11 * H), NOW, 60.0)
    assert decide.need(held(11 * H), UNKNOWN, NOW, 60.0, RULES) is Need.NONE


@given(lives, lefts, st.booleans())
def test_nothing_expired_or_missing_is_ever_good_enough(life: float, left: float, due: bool) -> None:
    assume(left <= 0)
    for holding in (held(left), held(left, own=True), held(None)):
        for expectation in (UNKNOWN, expected(left, due=due), expected(H, due=due)):
            assert decide.need(holding, expectation, NOW, life, RULES) is not Need.NONE


def test_max_age_makes_a_fresh_looking_one_due() -> None:
    rules = Refresh(max_age=2 * H)
    assert decide.need(held(10.5 * H), UNKNOWN, NOW, LIFE, rules) is Need.NONE
    assert decide.need(held(9.9 * H), UNKNOWN, NOW, LIFE, rules) is Need.DUE
    assert decide.need(held(9.9 * H), UNKNOWN, NOW, LIFE, RULES) is Need.NONE


def test_drift_is_somebody_else_s_doing_and_time_s_is_not() -> None:
    assert {need for need in Need if need.drift} == {Need.MISSING, Need.UNBELIEVABLE, Need.SPOILED}


@given(lives)
def test_two_that_race_are_as_good_as_each_other_within_a_moment(life: float) -> None:
    assert 0 < decide.tolerance(life) <= 60
    assert decide.tolerance(life) <= life / 50


# --- what may be written over it -------------------------------------------------------------------------------------
def token(left: float) -> Credential:
    return Credential("AWS", Secret("irrelevant"), NOW, NOW + left)


def test_an_older_token_never_replaces_a_fresher_one() -> None:
    assert decide.is_worse(token(5 * H), held(6 * H), NOW, LIFE)
    assert not decide.is_worse(token(6 * H), held(6 * H), NOW, LIFE)
    assert not decide.is_worse(token(6 * H), held(5 * H), NOW, LIFE)


@pytest.mark.parametrize("holding", [held(None), held(-1), held(0), held(13 * H)])
def test_any_token_may_replace_what_is_missing_dead_or_unbelievable(holding: Holding) -> None:
    assert not decide.is_worse(token(60), holding, NOW, LIFE)


def test_a_token_does_not_replace_a_later_one_of_our_own_record() -> None:
    assert decide.is_worse(token(60), held(13 * H, own=True), NOW, LIFE)


@given(lives, lefts, st.floats(1, 40 * 86400), st.booleans())
def test_a_credential_is_worse_only_than_something_alive_that_ends_later(
    life: float, left: float, lasts: float, own: bool
) -> None:
    if decide.is_worse(token(lasts), held(left, own=own), NOW, life):
        assert left > 0
        assert lasts < left


def test_a_refusal_keeps_a_token_out_only_while_the_old_one_has_more_than_a_quarter_to_live() -> None:
    assert decide.may_be_refused(held(3.1 * H), NOW, LIFE)
    for holding in (held(3 * H), held(1), held(0), held(-1), held(None)):
        assert not decide.may_be_refused(holding, NOW, LIFE)
