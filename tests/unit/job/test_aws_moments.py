"""Moments in AWS's answers are read as botocore reads them, whatever form they have."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.utils import parse_timestamp

from ecr_refresher.job.aws.clients import _moment


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T22:14:05Z",
        "2026-11-22T22:14:05.123Z",
        "2026-11-22T22:14:05+01:00",
        "2026-11-22T22:14:05",  # no zone: left to botocore
        "Sun, 22 Nov 2026 22:14:05 GMT",
        "1795385645",
        1795385645,
        1795385645.5,
    ],
)
def test_a_moment_is_the_same_as_botocores(text: Any) -> None:
    ours, theirs = _moment(text), parse_timestamp(text)
    assert ours == theirs
    assert ours.utcoffset() == theirs.utcoffset()


def test_what_is_no_moment_is_refused_as_botocore_refuses_it() -> None:
    with pytest.raises(ValueError, match="Invalid timestamp"):
        _moment("tomorrow")
