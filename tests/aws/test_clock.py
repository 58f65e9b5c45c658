"""AWS's time rules: a wall clock that is two hours off changes nothing, and is told."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.aws.world import HOST, PARTNER, World, secrets_of
from tests.testbed.daemon import Daemon, Finished
from tests.testbed.processes import wait_until
from tests.testbed.secret_hunt import Secrets
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.registry_front import RegistryFront
from tests.testbed.standins.tokens import TokenBook

OFF_S = 7200.0
LIFE_S = 8.0


@pytest.fixture(params=[OFF_S, -OFF_S], ids=["wall-behind", "wall-ahead"])
def aws_ahead_s(request: pytest.FixtureRequest) -> float:
    ahead: float = request.param
    return ahead


@pytest.fixture
def elsewhen(
    aws_ahead_s: float, run_cli: Callable[..., Finished], tmp_path: Path, secrets_seen: Secrets
) -> Iterator[World]:
    """A world whose clocks are all two hours away from this machine's."""
    book = TokenBook(LIFE_S, clock=lambda: time.time() + aws_ahead_s)
    with EcrStandIn(book) as ecr, RegistryFront(book) as front:
        secrets_seen.follow(lambda: secrets_of(book, ecr))
        yield World(tmp_path, book, ecr, front, run_cli)


def test_renewal_comes_in_time_and_the_skew_is_exported(
    elsewhen: World, aws_ahead_s: float, start_daemon: Callable[..., Daemon]
) -> None:
    settings = {
        "registries": [{"host": HOST, "registry_url": elsewhen.front.url}],
        "docker": {"config_file": str(elsewhen.config_file)},
        "refresh": {"retry_first": "200ms", "retry_max": "1s"},
    }
    daemon = start_daemon(settings, ecr_url=elsewhen.ecr.url)
    wait_until(lambda: len(elsewhen.book.all_issued()) >= 3, 4 * LIFE_S, "two renewals")
    issued = [token.issued_at for token in elsewhen.book.all_issued()]
    assert all(later - earlier < LIFE_S for earlier, later in itertools.pairwise(issued))  # no gap
    assert daemon.status()["clock_skew_seconds"] == pytest.approx(-aws_ahead_s, abs=3)
    assert daemon.metrics().value("ecr_refresher_clock_skew_seconds") == pytest.approx(-aws_ahead_s, abs=3)


def test_one_registry_s_endpoint_that_lies_about_the_time_moves_nobody_s_clock(
    tmp_path: Path, secrets_seen: Secrets, start_daemon: Callable[..., Daemon]
) -> None:
    book = TokenBook(3600)
    with EcrStandIn(book) as ecr, EcrStandIn(book, date_offset_s=30 * OFF_S) as liar, RegistryFront(book) as front:
        secrets_seen.follow(lambda: [*secrets_of(book, ecr), *secrets_of(book, liar)])
        liar.slow(0.5)  # its answer is the last
        settings = {
            "registries": [
                {"host": HOST, "registry_url": front.url},
                {"host": PARTNER, "registry_url": front.url, "endpoint_url": liar.url},
            ],
            "docker": {"config_file": str(tmp_path / "docker" / "config.json")},
        }
        daemon = start_daemon(settings, ecr_url=ecr.url)
        status = daemon.wait_for(lambda status: status["ready"], within=30)
        assert {slot["outcome"] for slot in status["slots"]} == {"written"}
        assert status["clock_skew_seconds"] == pytest.approx(0, abs=3)
        assert daemon.stop() == 0
