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


def test_every_page_is_reached_from_the_front_page() -> None:
    found, new = set(), {"README.md"}
    while new:
        page = new.pop()
        found.add(page)
        for link in links(page):
            target = (PAGES[page].parent / link.partition("#")[0]).resolve()
            if target.is_relative_to(ROOT) and str(target.relative_to(ROOT)) in PAGES.keys() - found:
                new.add(str(target.relative_to(ROOT)))
    assert PAGES.keys() - found == set(), "link it from README.md, or from a page that is"


def test_the_settings_reference_is_up_to_date() -> None:
    written = settings_page.PAGE.read_text()
    assert written == settings_page.page(written), "run `make docs`"
