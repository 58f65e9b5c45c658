"""What becomes of a removal that the engine refuses; and whole cleanups of engines that have a bad day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from ecr_refresher.core import wire
from ecr_refresher.core.model import Credential, Failed, Reason, Secret
from ecr_refresher.core.plan import Cleanup, ContainerRules, ImageRules, Plan, Principal, Registry
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.cleanup.remembered import REMEMBERED_S, Remembered
from ecr_refresher.job.cleanup.report import CleanupReport, Gone
from ecr_refresher.job.cleanup.run import clean
from ecr_refresher.job.cleanup.usage.last_use import History, Seen
from ecr_refresher.job.cleanup.usage.state_file import StateFile

from .fake_engine import FakeEngine, refused

GOING = Gone("image", "sha256:1234", "web:1", "unused for 2 d", 0.0, 5, 5)


class Refusing:
    """An engine that answers each removal with the next of these statuses; 204 is success."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)

    def remove(self) -> None:
        status = self._statuses.pop(0)
        if status != 204:
            raise refused(status, "image is being used by running container 1f2e")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (409, "the engine refuses to remove it now: image is being used by running container 1f2e"),
        (500, "the engine failed to remove it (500): image is being used by running container 1f2e"),
    ],
)
def test_a_refused_removal_is_told_and_skipped_and_succeeds_when_it_is_tried_again(status: int, said: str) -> None:
    lines: list[wire.Line] = []
    record, engine = CleanupReport(lines.append), Refusing(status, 204)
    assert not record.remove(GOING, engine.remove)
    (told,) = lines
    assert isinstance(told, wire.Hindered)
    assert (told.what, told.name, told.failure.reason, told.failure.message) == (
        "image",
        "web:1",
        Reason.TRANSIENT,
        said,
    )
    assert record.gone == []
    assert record.remove(GOING, engine.remove)
    assert record.gone == [GOING]
    assert lines[1:] == [wire.Removed("image", "web:1", 5)]


def test_what_somebody_else_has_removed_is_gone_and_not_ours_to_count() -> None:
    lines: list[wire.Line] = []
    record = CleanupReport(lines.append)
    assert record.remove(GOING, Refusing(404).remove)
    assert record.gone == []
    assert lines == []


# --- a whole cleanup -------------------------------------------------------------------------------------------------
HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
WEB, ETL = f"{HOST}/web", f"{HOST}/etl"
ONE, TWO, THREE = ("sha256:" + digit * 64 for digit in "123")
DAY_S = 86400.0


class Cleaner:
    """Cleans an engine whose images were all last used two days ago, as far as anybody knows."""

    def __init__(self, engine: FakeEngine, directory: Path, monkeypatch: pytest.MonkeyPatch, **rules: Any) -> None:
        self.engine, self.lines = engine, list[wire.Line]()
        monkeypatch.setattr("ecr_refresher.job.net.engine_client.BoundedClient", lambda *_: engine)
        self.rules = Cleanup(
            state_file=str(directory / "uses.json"),
            containers=ContainerRules(exited_for=3600.0, **rules),
            images=ImageRules(max_size=1, unused_for=DAY_S),
        )
        self.heard: dict[str, frozenset[str]] = {}
        self.credential: Credential | Failed = Credential("AWS", Secret("token"), 0.0, 1e12)
        self.answers: dict[str, int | Failed] = {}  # by repository
        self.asked: list[str] = []

    def clean(self, *, ends_in_s: float = 60.0, dry_run: bool = False) -> CleanupReport:
        then = self.engine.clock.now() - 2 * DAY_S
        seen = {
            image: Seen(then, then, pulled=self.heard.get(image, frozenset())).named((*tags, *digests))
            for image, tags, digests in zip(
                self.engine.names, self.engine.names.values(), self.engine.digests.values(), strict=True
            )
        }
        StateFile(self.rules.state_file).save(History("engine", then, seen), seen.keys())
        self.engine.happen("container", "top", "before all that follows")["timeNano"] = int((then - 1) * 1e9)
        clock = self.engine.clock
        self.engine.stream = type(self.engine.stream)()
        return clean(
            Plan((Registry(HOST, HOST, Principal("ecr", "us-east-1")),), cleanup=self.rules),
            (HOST,),
            clock,
            self.lines.append,
            dry_run=dry_run,
            ends_at=clock.boot() + ends_in_s,
            login=self.login,
            ask=self.ask,
        )

    def login(self, _principal: Principal) -> Credential:
        if isinstance(self.credential, Failed):
            raise self.credential
        return self.credential

    def ask(self, registry: Registry, login: Credential, path: str) -> int:
        self.asked.append(path)
        answer = self.answers.get(path.split("/")[2], 200)
        if isinstance(answer, Failed):
            raise answer
        return answer


@pytest.fixture
def cleaner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cleaner:
    return Cleaner(FakeEngine(AwsClock(), told=True), tmp_path, monkeypatch)


def why_stayed(record: CleanupReport) -> dict[str, str]:
    return {stayed.id: stayed.why for stayed in record.stayed}


def test_one_broken_container_or_image_does_not_end_the_cleanup(cleaner: Cleaner) -> None:
    """An engine that has lost a container's layer can't tell of it (500), for good: see moby's daemon/inspect.go."""
    engine = cleaner.engine
    for image, name in ((ONE, "a"), (TWO, "b"), (THREE, "c")):
        engine.add(image, f"{WEB}:{name}", f"{WEB}@sha256:{name}")
    engine.run("broken", ONE, f"{WEB}:a", "exited", ended_s_ago=7200)
    engine.run("well", TWO, f"{WEB}:b", "exited", ended_s_ago=7200)
    engine.broken["broken"] = refused(500, "RWLayer of container broken is unexpectedly nil")
    engine.broken[THREE] = refused(500, "unable to find the size of the layer")
    account = cleaner.clean()
    assert engine.gone == ["well", THREE], "and the other's image was in use two hours ago"
    assert account.ended
    (trouble,) = account.troubles
    assert (trouble.what, trouble.name) == ("container", "broken")
    assert "failed to inspect it (500): RWLayer" in trouble.failure.message
    assert why_stayed(account)[ONE] == "in_use"


def test_a_removal_that_takes_too_long_is_told_and_the_others_go_on(cleaner: Cleaner) -> None:
    engine = cleaner.engine
    engine.add(ONE, f"{WEB}:a", f"{WEB}@sha256:a")
    engine.add(TWO, f"{WEB}:b", f"{WEB}@sha256:b")
    engine.broken[f"rm {ONE}"] = requests.ReadTimeout("read timed out")
    account = cleaner.clean()
    assert engine.gone == [TWO]
    assert [(trouble.what, trouble.name) for trouble in account.troubles] == [("image", f"{WEB}:a")]
    assert "within 60 s" in account.troubles[0].failure.message


def test_the_end_of_a_container_is_a_use_of_its_image_though_no_event_told_of_it(cleaner: Cleaner) -> None:
    engine = cleaner.engine
    engine.add(ONE, f"{WEB}:a", f"{WEB}@sha256:a")
    engine.run("c1", ONE, f"{WEB}:a", "exited", ended_s_ago=7200)
    account = cleaner.clean()
    assert engine.gone == ["c1"]
    assert why_stayed(account)[ONE] == "too_young"


def test_what_time_is_too_short_for_is_left_for_later_and_is_not_called_the_rules_fault(cleaner: Cleaner) -> None:
    engine = cleaner.engine
    engine.add(ONE, f"{WEB}:a", f"{WEB}@sha256:a")
    engine.run("c1", TWO, f"{WEB}:gone", "exited", ended_s_ago=7200)
    account = cleaner.clean(ends_in_s=-1.0)
    assert engine.gone == []
    assert why_stayed(account) == {"c1": "later", ONE: "later"}
    assert not account.short


def test_a_name_that_has_moved_on_is_not_taken_from_the_image_that_has_it_now(cleaner: Cleaner) -> None:
    engine = cleaner.engine
    engine.add(ONE, f"{WEB}:a", f"{ETL}:b", f"{WEB}@sha256:a", f"{ETL}@sha256:a")
    remove = engine.remove_image

    def move_first(ref: str) -> None:
        remove(ref)
        if ref == f"{WEB}:a":  # no event: it is not even known when it happens
            engine.names[ONE].remove(f"{ETL}:b")
            engine.add(TWO, f"{ETL}:b", f"{ETL}@sha256:b")

    engine.remove_image = move_first  # type: ignore[method-assign]
    cleaner.clean()
    assert engine.gone == []
    assert engine.names[TWO] == [f"{ETL}:b"]


def test_names_are_given_back_but_not_one_that_another_image_has_got_meanwhile(cleaner: Cleaner) -> None:
    engine = cleaner.engine
    engine.add(ONE, f"{WEB}:a", f"{WEB}:b", f"{WEB}:c", f"{WEB}@sha256:a")
    remove = engine.remove_image

    def give_away_first(ref: str) -> None:
        if ref == f"{WEB}:c":
            engine.add(TWO, f"{WEB}:b", f"{WEB}@sha256:b")
            raise refused(409, "image is being used by stopped container 1f2e")
        remove(ref)

    engine.remove_image = give_away_first  # type: ignore[method-assign]
    account = cleaner.clean()
    assert engine.gone == []
    assert sorted(engine.names[ONE]) == [f"{WEB}:a", f"{WEB}:c"]
    assert engine.names[TWO] == [f"{WEB}:b"]
    assert account.troubles[0].failure.reason is Reason.TRANSIENT


def test_with_containerds_store_only_what_was_seen_to_be_pulled_can_be_pulled_again(cleaner: Cleaner) -> None:
    """There an image's digest is its id, and it has one whether or not it was ever in a registry."""
    engine = cleaner.engine
    engine.add(ONE, f"{WEB}:built", f"{WEB}@{ONE}")
    engine.add(TWO, f"{WEB}:pulled", f"{WEB}@{TWO}")
    engine.add(THREE)  # its tag has moved on; no name is left there, and its containers show its id
    cleaner.heard = {TWO: frozenset({WEB}), THREE: frozenset({WEB})}
    engine.run("c3", THREE, THREE, "exited", ended_s_ago=3 * DAY_S)
    account = cleaner.clean()
    assert why_stayed(account) == {ONE: "never_pushed"}
    assert set(engine.gone) == {"c3", TWO, THREE}


def test_a_container_is_of_the_registry_that_it_was_made_from_though_its_image_has_lost_all_names(
    cleaner: Cleaner,
) -> None:
    """Seen on engine 26.1 with containerd's store: the image of a name that has moved on is in no list any more."""
    engine = cleaner.engine
    engine.run("ours", ONE, f"{WEB}:latest", "exited", ended_s_ago=7200)
    engine.run("theirs", TWO, "quay.io/web:latest", "exited", ended_s_ago=7200)
    engine.run("of-an-id", THREE, THREE, "exited", ended_s_ago=7200)
    account = cleaner.clean()
    assert engine.gone == ["ours"]
    assert why_stayed(account) == {"theirs": "foreign", "of-an-id": "foreign"}


# --- can it be had again? --------------------------------------------------------------------------------------------
def fill(engine: FakeEngine) -> None:
    engine.add(ONE, f"{WEB}:a", f"{WEB}@sha256:a")
    engine.add(TWO, f"{ETL}:b", f"{ETL}@sha256:b")


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (404, "does not have it (deleted, or archived)"),
        (403, "denies it"),
        (401, "refuses the login"),
        (502, "answers 502"),
        (Failed(Reason.TRANSIENT, "no answer within 3 s"), "gives no answer: no answer within 3 s"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_what_its_registry_can_not_give_back_stays_with_the_registrys_word(
    cleaner: Cleaner, answer: int | Failed, word: str, dry_run: bool
) -> None:
    fill(cleaner.engine)
    cleaner.answers["web"] = answer
    record = cleaner.clean(dry_run=dry_run)
    assert [gone.id for gone in record.gone] == [TWO]
    (kept,) = record.stayed
    assert (kept.id, kept.why, kept.word) == (ONE, "not_pullable", f"{HOST} {word}")
    swept = next(line for line in cleaner.lines if isinstance(line, wire.Swept))
    assert swept.protected["not_pullable"] == 1
    assert swept.short


def test_one_repository_that_can_give_it_back_is_enough(cleaner: Cleaner) -> None:
    cleaner.engine.add(ONE, f"{WEB}:a", f"{ETL}:a", f"{WEB}@sha256:a", f"{ETL}@sha256:a")
    cleaner.answers["web"] = 404
    cleaner.clean()
    assert cleaner.engine.gone == [ONE]


def test_without_a_login_to_ask_with_it_stays(cleaner: Cleaner) -> None:
    fill(cleaner.engine)
    cleaner.credential = Failed(Reason.DENIED, "no token")
    record = cleaner.clean()
    assert record.gone == []
    assert {kept.why for kept in record.stayed} == {"not_pullable"}


def test_an_answer_that_keeps_an_image_is_remembered_for_an_hour(cleaner: Cleaner) -> None:
    fill(cleaner.engine)
    cleaner.answers = {"web": 404, "etl": 404}
    for _ in range(3):
        assert cleaner.clean().gone == []
    assert len(cleaner.asked) == 2
    remembered = Remembered.load(cleaner.rules.state_file, cleaner.engine.now())
    remembered.answers = {image: (at - REMEMBERED_S, word) for image, (at, word) in remembered.answers.items()}
    remembered.save(cleaner.rules.state_file)
    cleaner.answers = {}
    cleaner.clean()
    assert set(cleaner.engine.gone) == {ONE, TWO}


def test_images_that_stay_anyway_are_not_asked_for(cleaner: Cleaner) -> None:
    fill(cleaner.engine)
    cleaner.engine.run("c1", ONE, f"{WEB}:a", "running")
    cleaner.clean()
    assert cleaner.asked == ["/v2/etl/manifests/sha256:b"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"answers": 1}', '{"answers": {"a": [1]}}', '{"unreclaimed": ["x", "y"]}']
)
def test_a_broken_memory_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "uses.json.asked").write_text(text)
    assert Remembered.load(str(tmp_path / "uses.json"), 0.0) == Remembered()


def test_a_cleanup_that_is_short_says_where_the_space_is(cleaner: Cleaner) -> None:
    fill(cleaner.engine)
    cleaner.answers = {"web": 404, "etl": 404}
    assert cleaner.clean().unreclaimed == {"volumes": 70}
