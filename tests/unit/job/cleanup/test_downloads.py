"""Where downloads are seen."""

from __future__ import annotations

import os
from pathlib import Path

from ecr_refresher.job.cleanup.space import downloads


def test_downloads_are_seen_in_the_engines_own_files_and_in_containerds(tmp_path: Path) -> None:
    assert not downloads.under_way(str(tmp_path))
    for place in ("tmp", *downloads.INGESTS):
        root = tmp_path / place.replace("/", "-")
        one = root / place / ("GetImageBlob1234" if place == "tmp" else "ab12cd")
        one.mkdir(parents=True)
        (one / "data").write_bytes(b"a layer")
        assert downloads.under_way(str(root))
        if place != "tmp":
            os.utime(one / "data", (1.0, 1.0))
            assert not downloads.under_way(str(root)), "broken off"
