"""What is written as YAML is read as what it was, whatever the texts; remarks never become a part of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ecr_refresher import logs
from ecr_refresher.job.settings import yaml_file
from ecr_refresher.job.settings.effective import dump
from ecr_refresher.job.settings.problems import Problems

# Texts that no secret has the shape of; among them what looks like something else, and control characters.
TEXTS = (
    st.sampled_from(["", "null", "~", "0600", "no", "1e3", "50000:0", "a: b", "a #b", "- x", "'", '"', "*x", "\\n"])
    | st.text(st.characters(codec="utf-8"), max_size=40).filter(str.isprintable)
    | st.text(st.characters(codec="ascii"), max_size=40)
).filter(lambda text: logs.redact(text) == text)
KEYS = st.text("abcxyz_.-0123456789", min_size=1, max_size=12) | st.sampled_from(["null", "yes", "1"])
TREES: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(KEYS, TEXTS | st.lists(TEXTS, min_size=1, max_size=3), min_size=1, max_size=4),
    lambda inner: st.dictionaries(KEYS, inner | st.lists(inner, min_size=1, max_size=3), min_size=1, max_size=3),
    max_leaves=8,
)


@given(TREES, TEXTS)
def test_it_is_read_as_what_was_written(tree: dict[str, Any], remark: str) -> None:
    lines = list(dump(tree, lambda place: remark))
    assert not [line for line in lines if "\n" in line]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write("\n".join(lines))
        file.flush()
        problems = Problems()
        yaml_file.read(str(Path(file.name)), problems)
        assert problems.tree == tree
        assert problems.errors == ()
