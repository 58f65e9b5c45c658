"""The marker behind the user's own text."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ecr_refresher.job.sinks.airflow import marker

HOST, OTHER = "123456789012.dkr.ecr.us-east-1.amazonaws.com", "public.ecr.aws"
UNTIL = 1_795_385_645.0
MARKER = f"[ecr-refresher: {HOST} until 2026-11-22T22:14:05Z]"

moments = st.integers(0, 250_000_000_000).map(float)
# Text out of the very pieces that a marker is made of, torn ones among them.
torn = [MARKER[:30], MARKER[30:], "[ecr-refresher: ", " until ", "2026-11-22T22:14:05Z]", "[", "]", HOST]
pieces = st.sampled_from([MARKER, f" {MARKER}", *torn, " ", "\n", "Docker at work", "ümläut"])
texts = st.one_of(st.text(), st.lists(pieces).map("".join))


def test_the_marker_has_the_form_that_people_rely_on() -> None:
    assert marker.write(None, HOST, UNTIL) == MARKER
    assert marker.write("", HOST, UNTIL) == MARKER
    assert marker.write("Docker at work", HOST, UNTIL) == f"Docker at work {MARKER}"


def test_fractions_of_a_second_are_cut() -> None:
    assert marker.write(None, HOST, UNTIL + 0.9) == MARKER


def test_an_old_marker_is_replaced_wherever_it_stands_and_several_become_one() -> None:
    old = f"[ecr-refresher: {OTHER} until 2020-01-01T00:00:00Z]"
    assert marker.write(f"before {old} after {old}", HOST, UNTIL) == f"before after {MARKER}"


@given(st.text(), moments)
@example(" ", UNTIL)
@example("ends with a blank ", UNTIL)
@example("two\nlines\n", UNTIL)
def test_the_users_own_text_comes_back_byte_for_byte(text: str, until: float) -> None:
    assert marker.strip(marker.write(text, HOST, until)) == text


@given(texts, moments, moments)
def test_writing_again_changes_nothing_but_the_marker(text: str, first: float, second: float) -> None:
    once = marker.write(text, OTHER, first)
    assert marker.strip(once) == marker.strip(text)
    assert marker.write(once, HOST, second) == marker.write(text, HOST, second)


@given(texts, moments)
def test_what_is_written_is_read_and_only_for_its_own_registry(text: str, until: float) -> None:
    written = marker.write(text, HOST, until)
    assert marker.read(written, HOST) == until
    assert marker.read(written, OTHER) is None


@pytest.mark.parametrize(
    "description",
    [None, "", "Docker at work", MARKER[:-1], MARKER.replace("-11-", "-13-"), MARKER.replace("Z", ""), MARKER.lower()],
)
def test_what_is_no_marker_records_nothing(description: str | None) -> None:
    assert marker.read(description, HOST) is None


def test_of_two_markers_the_earlier_counts() -> None:
    later = MARKER.replace("2026-11-22", "2026-11-23")
    assert marker.read(f"{MARKER} {later}", HOST) == marker.read(f"{later} {MARKER}", HOST) == UNTIL


@pytest.mark.parametrize("size", [600_000, 60_000])
def test_a_description_of_nested_markers_takes_no_longer_than_it_is_long(size: int) -> None:
    left, right = MARKER[:40], MARKER[40:]
    depth = size // len(MARKER)
    nested = left * depth + MARKER + right * depth
    began = time.process_time()
    assert marker.read(nested, HOST) == UNTIL or size > marker.SEARCHED_MAX
    written = marker.write(nested, HOST, UNTIL + 60)
    assert time.process_time() - began < 1.0
    assert marker.read(written, HOST) == UNTIL + 60
    assert marker.write(written, HOST, UNTIL) == marker.write(nested, HOST, UNTIL), "it does not grow"


def test_of_a_description_longer_than_a_column_only_the_end_is_searched() -> None:
    long = MARKER + "x" * marker.SEARCHED_MAX
    assert marker.read(long, HOST) is None
    assert marker.write(long, HOST, UNTIL) == f"{long} {MARKER}"
    assert marker.read(f"{long} {MARKER}", HOST) == UNTIL
