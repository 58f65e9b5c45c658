"""The page for people, as text: what it says, that it escapes everything, and what its policy lets run."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest

from ecr_refresher.core import phrases, wire
from ecr_refresher.core.model import Reason
from ecr_refresher.core.plan import Server
from ecr_refresher.daemon.web import status_page, view

from .house import House
from .test_cleaning import SWEPT, Cleaner
from .world import AIRFLOW, CONFIG, DOCKER, HOST, LIFE, World, failure, plan

EVIL = '<script>alert(\'"&")</script>'


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the texts between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def document(world: World, **changed: Any) -> dict[str, Any]:
    return {**view.status(world.state, world.boot, world.mono), **changed}


def page(world: World, **changed: Any) -> str:
    return status_page.render(document(world, **changed)).decode()


def told(text: str) -> str:
    """The words of a page alone, each gap one space."""
    body = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", text, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", body.replace("<wbr>", "")).split())


def test_a_healthy_daemon_s_page_says_what_each_sink_holds_and_what_comes_next() -> None:
    world = World().served()
    words = told(page(world.wait(1800.0).turn()))
    assert words.startswith("✓ Ready · ecr-refresher")
    assert "Ready All 2 sinks hold a credential." in words
    assert f"{HOST} newest token ends in 11 h 30 min · fetched 30 min ago" in words
    assert f"docker/{CONFIG} Docker login good for 11 h 30 min" in words
    assert "airflow/default/docker_default https://airflow.example.com good for 11 h 30 min" in words
    assert "written 30 min ago renewal in " in words
    assert "08:00 UTC 20:00 UTC" in words


def test_title_icon_and_heading_tell_at_a_glance() -> None:
    broken = World().served()
    broken.wait(LIFE).turn()
    scenes = {
        phrases.GOOD: World().served(),
        phrases.SHAKY: World().served(plan()).wait(60).turn().finish(World().loaded().failed(AIRFLOW)),
        phrases.OUT: broken,
        phrases.WAITING: World().turn(),
    }
    glances = {}
    for how, world in scenes.items():
        elements = Elements(page(world))
        (icon,) = elements.of("link")
        glances[how] = (elements.texts["title"][0].split(" · ")[0], str(icon["href"]))
        assert elements.texts["h1"] == [glances[how][0].partition(" ")[2]]
    assert {how: title for how, (title, _) in glances.items()} == {
        phrases.GOOD: "✓ Ready",
        phrases.SHAKY: "✓ Ready, with trouble",
        phrases.OUT: "✗ Not ready",
        phrases.WAITING: "… Starting",
    }
    assert len({icon for _, icon in glances.values()}) == 4


def test_what_has_failed_comes_first_with_its_error() -> None:
    world = World().served()
    world.wait(60).turn().finish(world.failed(AIRFLOW, Reason.DENIED))
    words = told(page(world))
    assert words.index("airflow/default/docker_default") < words.index(f"docker/{CONFIG}")
    assert "denied, just now : it did not work Fix : Try something else" in words


def test_everything_is_escaped() -> None:
    world = World().served()
    world.wait(60).turn().finish(world.failed(AIRFLOW))
    status = document(world)
    error = {"reason": EVIL, "message": EVIL, "fix": EVIL, "at": status["now"]}
    for slot in status["slots"]:
        slot.update(sink=EVIL, target=EVIL, kind="airflow", last_error=error, registry=EVIL)
    status["registries"][0].update(name=EVIL, host=f"{EVIL}.", last_error={**error, "message": f"{EVIL}!"})
    status["version"] = EVIL
    text = status_page.render(status).decode()
    assert EVIL not in text
    elements = Elements(text)
    assert len(elements.of("script")) == 1
    assert text.count("&lt;script&gt;") > 6
    assert len(elements.of("html")) == 1


@pytest.mark.parametrize("sinks", [DOCKER, AIRFLOW])
def test_its_elements_are_closed_and_its_ids_are_unique(sinks: tuple[str, str]) -> None:
    world = World().served()
    world.wait(60).turn().finish(world.failed(sinks))
    elements = Elements(page(world))
    assert elements.open == []
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids)) > 8


def bars(world: World) -> list[dict[str, str | None]]:
    elements = Elements(page(world))
    return elements.of("rect") + elements.of("line") + elements.of("circle")


def test_the_bar_shows_what_is_spent_now_and_the_planned_renewal() -> None:
    world = World().served(plan(airflow=False))
    world.wait(LIFE / 4).turn()
    shapes = {str(shape.get("class")): shape for shape in bars(world)}
    assert (shapes["left"]["x"], shapes["left"]["width"]) == ("25.0%", "75.0%")
    assert shapes["now"]["x1"] == shapes["now"]["x2"] == "25.0%"
    due = world.state.slots[DOCKER].expected_until
    assert due is not None
    planned = phrases.seconds(document(world)["slots"][0]["renew_at"])
    assert planned is not None
    assert shapes["renewal"]["cx"] == f"{round(100 * (planned - (due - LIFE)) / LIFE, 2)}%"
    label = next(svg["aria-label"] for svg in Elements(page(world)).of("svg") if svg.get("role") == "img")
    assert label is not None
    assert re.fullmatch(r"issued 3 h ago, renewal planned in [^,]+, ends in 9 h", label)


def test_the_bar_of_what_has_expired_is_spent_and_plans_nothing() -> None:
    world = World().served(plan(airflow=False))
    world.wait(LIFE + 300).turn()
    text = page(world)
    assert 'aria-label="issued 12 h 5 min ago, ended 5 min ago"' in text
    shapes = {str(shape.get("class")): shape for shape in bars(world)}
    assert shapes["left"]["width"] == "0.0%"
    assert text.count('class="renewal"') == 1  # the key's own


def test_the_bar_of_what_was_never_delivered_is_empty() -> None:
    text = page(World().loaded())
    assert text.count('aria-label="no credential"') == 2
    assert "not looked at yet" in text


def test_days_are_told_where_they_are_not_near() -> None:
    text = told(page(World().served(life=40 * 3600.0)))
    assert "08:00 UTC 2027-01-17 00:00 UTC" in text


def test_a_clock_that_is_off_is_among_the_facts() -> None:
    world = World().served()
    assert "Local clock" not in told(page(world))
    assert "Local clock 6 min ahead of AWS's" in told(page(world, clock_skew_seconds=400.0)).replace("&#x27;", "'")


# --- the policy ------------------------------------------------------------------------------------------------------
def hash_of(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def test_the_policy_lets_nothing_run_but_this_very_script_and_style() -> None:
    house = House(World().served(), Server(port=0))
    try:
        answer = house.ask("/")
    finally:
        house.stop()
    assert answer.getheader("Content-Type") == "text/html; charset=utf-8"
    text = str(answer.text)  # type: ignore[attr-defined]
    policy = dict(part.split(" ", 1) for part in str(answer.getheader("Content-Security-Policy")).split("; "))
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert policy == {
        "default-src": "'none'",
        "script-src": hash_of(script),
        "style-src": hash_of(style),
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert not re.search(r"<[^>]*\s(style|on\w+)=", text)  # attributes that the policy would refuse
    assert not re.search(r"(src|href)=\"(?!data:|/)", text)  # nothing from elsewhere


def test_without_scripts_it_refreshes_itself() -> None:
    text = page(World().served())
    assert '<noscript><meta http-equiv="refresh" content="15"></noscript>' in text


def test_the_last_cleanup_is_shown_where_there_is_one() -> None:
    assert "Cleanup" not in told(page(World().served()))
    cleaner = Cleaner().hears()
    assert "not finished once yet" in told(page(cleaner))
    job = cleaner.sweep()
    cleaner.say(wire.Removed("container", "web"), wire.Removed("image", "web:1", 5), SWEPT, wire.Done(), job=job.id)
    cleaner.gone(job).wait(120)
    shown = told(page(cleaner))
    assert "removed 1 container and 1 image" in shown
    assert "the disk is 80 % full" in shown
    cleaner.say(wire.Hindered("events", failure(Reason.TRANSIENT, "there is no <engine>")), job=cleaner.listen.id)
    shown = page(cleaner)
    assert "not receiving the engine&#x27;s events" in shown
    assert "there is no &lt;engine&gt;" in shown
