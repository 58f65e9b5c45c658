"""Thousands of small worlds and a hundred years in long ones. What must hold in each, by the letters in `watch`:

(a) A slot that could be served for any 10 minutes (less for tokens that live less than 12 hours) of the last part of
    its credential's life never holds an expired one. That part begins where the last daemon may draw its renewal:
    at `at_fraction + jitter` of the life.
(b) What a slot holds never gets older by our hand; where another daemon was late, it is repaired within 90 s.
(c) Foreign, wrong or far-future markers, proxies that answer 403 to the proof and stepped clocks starve no slot: what
    somebody spoiled is repaired 10 minutes after it must have been seen.
(d) Load is bounded: fetches, looks and tries of a refused password an hour, repairs a minute.
(e) Probes, metrics and status say what the daemon was told, to the second, and nobody else's lines are believed.
(f) Five minutes and one retry pause after the last fault all is well.
(6.x) The rules of that section of the design: renewal in its window, retry pauses within their bounds and a quarter of
    the life left, no fetch where nothing needs one, after a restart neither.

ECR_REFRESHER_SOAK=N runs N times as many seeds.
"""

from __future__ import annotations

import os

import pytest

from .scenario import deadly_settings, long, small, wrong_password

SOAK = int(os.environ.get("ECR_REFRESHER_SOAK") or 1)
CHUNKS = 20
SMALL_SEEDS = 75 * SOAK  # in each chunk
LONG_SEEDS = 50 * SOAK
DAYS = 36.5
YEAR_S = 365 * 86400.0


@pytest.mark.timeout(300 * SOAK)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_small_worlds_with_many_faults(chunk: int) -> None:
    for seed in range(chunk * SMALL_SEEDS, (chunk + 1) * SMALL_SEEDS):
        small(seed).run()


@pytest.mark.timeout(300 * SOAK)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_hundred_years_of_twelve_hour_tokens(chunk: int) -> None:
    """36.5 days and a script of faults for each of 1,000 seeds; a token for each third of a day, and few more."""
    lived, fetches = 0.0, 0
    for seed in range(chunk * LONG_SEEDS, (chunk + 1) * LONG_SEEDS):
        summary = long(seed, DAYS).run()
        lived, fetches = lived + summary.seconds, fetches + summary.fetches
    assert lived >= 100 * YEAR_S * SOAK / CHUNKS
    assert fetches > lived / 43200


def test_a_wrong_password_is_tried_twelve_times_an_hour_at_most() -> None:
    for seed in range(60 * SOAK):
        wrong_password(seed).run()


def test_settings_that_kill_every_worker_starve_no_slot() -> None:
    for seed in range(40 * SOAK):
        deadly_settings(seed).run()


def test_a_seed_reproduces_a_run() -> None:
    first, second = small(7), small(7)
    assert first.run() == second.run()
    assert list(first.world.trace) == list(second.world.trace)
