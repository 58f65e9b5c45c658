"""The page in a real Chromium: it fits, can be read, keeps the reader's place, and breaks none of its own rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecr_refresher.daemon.web import status_page
from tests.browser.conftest import Serve
from tests.browser.scenes import SCENES, world
from tests.testbed.browser import Browser
from tests.unit.daemon.world import AIRFLOW, LIFE, World

pytestmark = pytest.mark.real("browser")
CONTRAST = Path(__file__).with_name("contrast.js").read_text()
OUTSIDE = """
[...document.querySelectorAll("body *")].filter(each => each.getBoundingClientRect().right > innerWidth)
    .map(each => each.outerHTML.slice(0, 80))
"""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pages refresh themselves twice a second."""
    monkeypatch.setattr(status_page, "EVERY_S", 0.5)


@pytest.mark.parametrize("sinks", [1, 60])
@pytest.mark.parametrize("scene", SCENES)
def test_it_fits_narrow_and_wide_and_can_be_read_in_light_and_dark(
    browser: Browser, serve: Serve, scene: str, sinks: int
) -> None:
    _, url = serve(world(scene, sinks))
    page = browser.page().open(url)
    for width in (360, 1400):
        for dark in (False, True):
            page.look(width, 800, dark=dark)
            where = f"{scene}, {sinks} sinks, {width} px, {'dark' if dark else 'light'}"
            assert page.eval("innerWidth") == width
            assert page.eval("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), where
            assert page.eval(OUTSIDE) == [], where
            contrast = page.eval(CONTRAST)
            assert contrast["found"] == [], where
            assert contrast["looked"] > 10 * sinks
            background = page.eval("getComputedStyle(document.body).backgroundColor")
            assert background == ("rgb(14, 19, 26)" if dark else "rgb(245, 246, 248)")
    assert page.complaints() == []
    page.close()


def test_assistive_technology_finds_headings_tables_and_the_bars_words(browser: Browser, serve: Serve) -> None:
    _, url = serve(world("failing", 5))
    page = browser.page().open(url)
    for width in (360, 1400):
        page.look(width, 800)
        nodes = page.ask("Accessibility.getFullAXTree")["nodes"]
        roles: dict[str, list[str]] = {}
        for node in nodes:
            if not node["ignored"]:
                roles.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
        assert roles["heading"] == ["Not ready", "123456789012.dkr.ecr.us-east-1.amazonaws.com", "partner"]
        assert roles["table"] == roles["heading"][1:]
        assert roles["columnheader"] == ["Sink", "Holds", "Last delivery", "Next"] * 2
        assert len(roles["rowheader"]) == 5
        assert roles["button"] == ["Pause"]
        assert roles["status"] == [""]
        (missing, *held) = roles["image"]
        assert missing == "no credential"
        assert all(name.startswith("issued 4 h 48 min ago, renewal planned in ") for name in held)
        assert len(held) == 4
    page.close()


def test_it_refreshes_itself_and_the_reader_keeps_place_selection_and_focus(browser: Browser, serve: Serve) -> None:
    house, url = serve(world("healthy", 60))
    page = browser.page(800, 600).open(url)
    # The row that is read, far down; a word of it is selected, and the button has the focus.
    page.eval(
        "document.getElementById('pause').focus({preventScroll: true}); read = document.getElementById('slot-30');"
        "read.scrollIntoView(); getSelection().selectAllChildren(read.querySelector('.name')); 0"
    )
    top = page.eval("read.getBoundingClientRect().top")
    before = page.eval("[document.title, scrollY, getSelection().toString()]")
    assert before[0].startswith("✓ Ready ·")
    # Two sinks above it fail: their rows grow, and move to the top.
    first, second = list(house.world.state.slots)[1:4:2]
    house.world.turn().ask("refresh").turn()
    house.world.finish(
        *(
            house.world.failed(slot) if slot in (first, second) else house.world.fresh(slot)
            for slot in house.world.state.slots
        )
    )
    house.publish()
    page.eval("getSelection().removeAllRanges()")
    page.wait_for("document.title.startsWith('✓ Ready, with trouble')")
    assert page.eval("document.querySelectorAll('p.trouble').length") == 2
    assert page.eval("document.getElementById('slot-30') !== read")  # the rows are new ones,
    assert (
        abs(page.eval("document.getElementById('slot-30').getBoundingClientRect().top") - top) < 2
    )  # in the old place
    assert page.eval("document.activeElement.id") == "pause"
    # Now only words change, in place. What is selected stays as it is.
    page.eval("getSelection().selectAllChildren(document.querySelector('#slot-30 .name')); 0")
    page.eval("kept = document.getElementById('slot-30'); other = document.getElementById('slot-40'); 0")
    house.world.wait(3600.0).turn()
    house.publish()
    page.wait_for("document.getElementById('slot-40') !== other")
    assert page.eval("kept.isConnected && getSelection().toString()") == before[2]
    assert abs(page.eval("kept.getBoundingClientRect().top") - top) < 2
    assert page.complaints() == []
    page.close()


def test_a_lost_daemon_is_said_and_so_is_its_return(browser: Browser, serve: Serve) -> None:
    house, url = serve(World().served())
    page = browser.page().open(url)
    page.offline(True)
    page.wait_for("!document.getElementById('lost').hidden")
    assert page.eval("document.getElementById('lost').checkVisibility()")
    assert page.eval(CONTRAST)["found"] == []
    house.world.wait(LIFE).turn().finish(house.world.failed(AIRFLOW))
    house.publish()
    page.offline(False)
    page.wait_for("document.getElementById('lost').hidden")
    assert page.eval("document.getElementById('summary').textContent") == "None of the 2 sinks has a credential."
    assert page.eval("document.title") == "✗ Not ready · ecr-refresher"
    page.close()


def test_it_can_be_paused_by_keyboard_with_a_focus_that_is_seen(browser: Browser, serve: Serve) -> None:
    house, url = serve(World().served())
    page = browser.page().open(url)
    page.press("Tab")
    assert page.eval("document.activeElement.id") == "pause"
    assert page.eval("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.press("Enter")
    assert page.eval("[document.activeElement.textContent, document.activeElement.ariaPressed]") == ["Resume", "true"]
    house.world.wait(LIFE).turn()
    house.publish()
    page.eval("asked = 0; real = fetch; window.fetch = (...words) => { asked += 1; return real(...words); }; 0")
    page.eval("document.dispatchEvent(new Event('visibilitychange'))")
    assert page.eval("asked") == 0  # not even then
    page.press("Enter")
    page.wait_for("document.title.startsWith('✗ Not ready')")
    page.close()


def test_it_works_without_scripts(browser: Browser, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_page, "RELOAD_S", 1)
    house, url = serve(world("healthy", 60))
    page = browser.page(800, 600, scripts=False).open(url)
    assert page.eval("typeof window.refresh + document.querySelectorAll('noscript meta').length") == "undefined1"
    assert not page.eval("document.getElementById('pause').checkVisibility()")  # it would do nothing
    assert page.eval("document.getElementById('summary').textContent") == "All 60 sinks hold a credential."
    assert page.eval("document.body.innerText").count("good for 7 h 12 min") == 60
    house.world.wait(LIFE).turn()
    house.publish()
    page.wait_for("document.title.startsWith('✗ Not ready')")  # the browser came again by itself
    assert page.complaints() == []
    page.close()
