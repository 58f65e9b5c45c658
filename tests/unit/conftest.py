"""What unit tests share: each leaves the process as it found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A level that one test sets would keep lines from the next one that looks for them."""
    yield
    structlog.reset_defaults()
