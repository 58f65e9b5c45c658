"""What becomes of a removal that the engine refuses."""

from __future__ import annotations

import pytest
import requests
from docker.errors import APIError

from ecr_refresher.core import wire
from ecr_refresher.core.model import Reason
from ecr_refresher.core.plan import Cleanup
from ecr_refresher.job.cleanup.account import Gone
from ecr_refresher.job.cleanup.janitor import Janitor
from ecr_refresher.job.cleanup.policy import Registries
from ecr_refresher.job.clock import AwsClock

GOING = Gone("image", "sha256:1234", "web:1", "unused for 2 d", 0.0, 5, 5)


class Refusing:
    """An engine that answers each removal with the next of these statuses; 204 is success."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)

    def remove(self) -> None:
        status = self._statuses.pop(0)
        if status != 204:
            response = requests.Response()
            response.status_code = status
            raise APIError("refused", response=response, explanation="image is being used by running container 1f2e")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (409, "the engine won't have it removed now: image is being used by running container 1f2e; tried again later"),
        (500, "the engine failed to remove it (500): image is being used by running container 1f2e; tried again later"),
    ],
)
def test_a_refused_removal_is_told_and_skipped_and_succeeds_when_it_is_tried_again(status: int, said: str) -> None:
    lines: list[wire.Line] = []
    clock, engine = AwsClock(0.0), Refusing(status, 204)
    none = Registries(frozenset(), frozenset())
    janitor = Janitor(Cleanup(), none, clock, lines.append, dry_run=False, ends_at=clock.boot() + 60, heard=False)
    assert not janitor._removed(GOING, engine.remove)
    (told,) = lines
    assert isinstance(told, wire.Hindered)
    assert (told.what, told.name, told.failure.reason, told.failure.message) == (
        "image",
        "web:1",
        Reason.TRANSIENT,
        said,
    )
    assert janitor.account.gone == []
    assert janitor._removed(GOING, engine.remove)
    assert janitor.account.gone == [GOING]
    assert lines[1:] == [wire.Removed("image", "web:1", 5)]


def test_what_somebody_else_has_removed_is_gone_and_not_ours_to_count() -> None:
    lines: list[wire.Line] = []
    clock = AwsClock(0.0)
    none = Registries(frozenset(), frozenset())
    janitor = Janitor(Cleanup(), none, clock, lines.append, dry_run=False, ends_at=clock.boot() + 60, heard=False)
    assert janitor._removed(GOING, Refusing(404).remove)
    assert janitor.account.gone == []
    assert lines == []
