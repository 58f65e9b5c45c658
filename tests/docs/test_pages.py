"""The pages hang together: links lead somewhere, and what is made of the code is up to date."""

from __future__ import annotations

import re

import pytest

from . import settings_page
from .pages import PAGES, ROOT, anchors, links


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in links(page):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (PAGES[page].parent / path).resolve() if path else PAGES[page]
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(str(target.relative_to(ROOT))), link


def targets(page: str) -> set[str]:
    """The other pages that a page links to."""
    found = {(PAGES[page].parent / link.partition("#")[0]).resolve() for link in links(page) if "://" not in link}
    return {str(path.relative_to(ROOT)) for path in found if path.is_relative_to(ROOT)} & PAGES.keys()


def test_every_page_is_two_clicks_from_the_front_page_at_most() -> None:
    first = targets("README.md") | {"README.md"}
    second = {target for page in first for target in targets(page)}
    assert PAGES.keys() - first - second == set(), "link it from README.md or docs/index.md"


def test_the_index_has_every_page_of_docs() -> None:
    pages = {page for page in PAGES if page.startswith("docs/")}
    assert pages - targets("docs/index.md") == {"docs/index.md"}, "add it to a table of docs/index.md"


def test_the_settings_reference_is_up_to_date() -> None:
    written = settings_page.PAGE.read_text()
    assert written == settings_page.page(written), "run `make docs`"
