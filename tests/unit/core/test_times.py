"""Moments as texts."""

from __future__ import annotations

import pytest

from ecr_refresher.core import times


@pytest.mark.parametrize(
    ("at", "text"), [(1_795_000_000.0, "2026-11-18T11:06:40Z"), (-62_135_596_800.0, "0001-01-01T00:00:00Z")]
)
def test_a_moment_as_text_has_four_digits_for_its_year_and_is_read_again(at: float, text: str) -> None:
    assert times.rfc3339(at) == text
    assert times.moment(text) == at
