"""The story's end: the disk stays free, and what is in use is never pulled again. A real engine on a small disk."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest

from ecr_refresher.core import plan, wire
from ecr_refresher.core.model import Credential, Failure, Reason, Secret
from ecr_refresher.core.plan import Cleanup, ContainerRules, ImageRules
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.cleanup.report import CleanupReport
from ecr_refresher.job.cleanup.run import clean
from ecr_refresher.job.cleanup.usage.listener import Listener
from tests.integration.conftest import an_engine
from tests.integration.docker_host import (
    Tasks,
    children_of,
    cleanup_settings,
    daemon_listeners,
    empty,
    load_many,
    login_in,
    resident_mb,
    sequence,
)
from tests.testbed.daemon import Product
from tests.testbed.engine import Engine
from tests.testbed.machine import Machine
from tests.testbed.processes import Record, wait_until
from tests.testbed.published import publish
from tests.testbed.registry import HOST, Registry

pytestmark = [pytest.mark.real("engine, registry")]

DISK_MB = 130
IMAGE_BYTES = 5_000_000
HOT = tuple(f"{HOST}/dags:hot{n}" for n in range(4))
COLD = tuple(f"{HOST}/dags:cold{n}" for n in range(26))
ROUNDS = int(os.environ.get("ECR_REFRESHER_RACE_ROUNDS", "40"))
CANDIDATES = int(os.environ.get("ECR_REFRESHER_CANDIDATES", "40"))


@pytest.fixture(scope="module")
def small_server(machine: Machine, record: Record, logs: Path) -> Iterator[Engine]:
    with an_engine(machine, record, logs / "dockerd-small.log", DISK_MB) as engine:
        yield engine


@pytest.fixture
def small(small_server: Engine, registry: Registry) -> Engine:
    """An engine on a disk of 130 MB; empty."""
    registry.book.life_s = 3600
    if not small_server.running:
        small_server.start()
    empty(small_server)
    return small_server


@pytest.fixture(scope="module")
def published(registry_server: Registry) -> None:
    """Thirty images of 5 MB each, together more than the disk holds; they have been built long ago."""
    for image in (*HOT, *COLD):
        publish(registry_server.upstream, "dags", image.rpartition(":")[2], IMAGE_BYTES)


def ours(registry: Registry) -> plan.Registry:
    return plan.Registry(HOST, HOST, plan.Principal("ecr", "us-east-1"), ca_file=str(registry.ca_file))


def delete_manifest(registry: Registry, repository: str, digest: str) -> None:
    """As a lifecycle policy does."""
    request = urllib.request.Request(f"{registry.upstream}/v2/{repository}/manifests/{digest}", method="DELETE")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        assert answer.status == 202


def login(registry: Registry) -> Callable[[plan.Principal], Credential]:
    """What the registry is asked with whether it can give an image back."""
    return lambda _: Credential("AWS", Secret(registry.book.issue(life_s=3600).password), 0.0, 1e12)


def token(registry: Registry) -> dict[str, str]:
    issued = registry.book.issue(life_s=3600)
    return {"username": issued.username, "password": issued.password}


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("published")
def test_the_disk_stays_free_and_what_is_in_use_is_never_pulled_again(
    small: Engine, registry: Registry, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    registry.front.slow(0.05)
    # Without anything: the disk fills, and tasks fail.
    nothing = Tasks(small, token(registry))
    nothing.run_all(sequence(HOT, COLD, 56))
    assert nothing.failures
    assert any("no space left" in failure for failure in nothing.failures), nothing.failures[:3]
    empty(small)

    # With a cron that prunes by age: all that runs at the moment stays, and the rest is pulled again and again.
    cron = Tasks(small, token(registry))

    def prune(number: int) -> None:
        if number % 10 == 9:
            small.docker("container", "prune", "--force")
            small.docker("image", "prune", "--all", "--force", "--filter", "until=24h")

    cron.run_all(sequence(HOT, COLD, 56), every=prune)
    empty(small)

    # With ecr-refresher.
    settings = cleanup_settings(small, tmp_path)
    daemon = product.start_daemon(settings, ecr_url=ecr_url, env=registry.environment(), measured=False)
    daemon.wait_for(lambda status: status["ready"] and status["cleanup"]["listening"])
    kept = Tasks(small, login_in(tmp_path / "docker" / "config.json"))
    kept.run_all(sequence(HOT, COLD, 200))
    shown = daemon.wait_for(lambda status: status["cleanup"]["disk_used_ratio"] <= 0.45, within=60)["cleanup"]

    again = [sum(count - 1 for image, count in tasks.pulls.items() if image in HOT) for tasks in (cron, kept)]
    print(
        f"runs that failed: {len(nothing.failures)} of {nothing.runs} without, {len(cron.failures)} of {cron.runs} "
        f"with the cron, {len(kept.failures)} of {kept.runs} with ecr-refresher; images in constant use pulled again: "
        f"{again[0]} times with the cron (of {cron.runs} runs), {again[1]} times with ecr-refresher (of {kept.runs})"
    )
    assert kept.failures == []
    assert again[1] == 0
    assert again[0] > 0

    assert shown["removed_total"]["image"] > 20
    assert shown["removed_total"]["container"] > 100
    metrics = daemon.metrics()
    assert metrics.value("ecr_refresher_cleanup_images_removed_total") >= shown["removed_total"]["image"]
    assert metrics.value("ecr_refresher_cleanup_freed_bytes_total") > 20 * IMAGE_BYTES
    assert 0.0 < metrics.value("ecr_refresher_cleanup_disk_used_ratio") <= 0.45
    failed = metrics.matching("ecr_refresher_cleanup_failures_total")
    assert {dict(labels)["what"] for labels, count in failed.items() if count} <= {"image"}  # came into use: left
    removed = daemon.logs("image_removed")
    assert all(line["name"].startswith(HOST) and "unused for" in line["why"] for line in removed)
    print(
        f"supervisor {resident_mb(daemon.pid):.1f} MB, children {[resident_mb(pid) for pid in children_of(daemon.pid)]}"
    )


def by_hand(small: Engine, directory: Path, **images: object) -> dict[str, object]:
    """A cleanup that wants to remove every image that it may."""
    rules = {"max_size": "1kB", "unused_for": "1s", **images}
    return cleanup_settings(small, directory, images=rules, containers={"exited_for": "1s", "keep_labels": ["keep"]})


@pytest.mark.usefixtures("published")
def test_a_dry_run_says_exactly_what_goes_and_why_the_rest_stays(
    small: Engine, registry: Registry, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    settings = by_hand(small, tmp_path, keep=["*:cold4"])
    how = {"settings": settings, "ecr_url": ecr_url, "env": registry.environment()}
    assert product.run_cli("once", **how).exit_code == 0  # type: ignore[arg-type]
    tasks = Tasks(small, login_in(tmp_path / "docker" / "config.json"))
    assert all(tasks.run(image) for image in COLD[:5]), tasks.failures
    small.docker("tag", COLD[1], f"{HOST}/dags:second-name")
    small.docker("tag", COLD[2], "elsewhere/mine:1")
    small.docker("run", "--detach", "--network", "none", "--name", "busy", COLD[3], "sleep", "600")
    small.docker("create", "--network", "none", "--label", "keep", "--name", "labelled", COLD[4])

    first = product.run_cli("cleanup", "--json", **how)  # type: ignore[arg-type]
    assert first.exit_code == 0, first.stderr
    assert {one["what"] for one in first.json()["removed"]} <= {"container"}, "nothing is known of the images' use"
    assert tasks.run(COLD[0])

    def both() -> bool:
        return [one["what"] for one in json.loads(dry_run(product, how))["removed"]].count("image") == 2

    wait_until(both, 60, "images that are old enough")
    told = json.loads(dry_run(product, how))
    assert small.docker("images", "--quiet").stdout.count("\n") >= 5, "a dry run removes nothing"
    done = product.run_cli("cleanup", "--json", **how).json()  # type: ignore[arg-type]

    def names(document: dict[str, Any], what: str) -> list[str]:
        return [one["name"] for one in document["removed"] if one["what"] == what]

    assert names(done, "image") == names(told, "image")
    assert [name.partition("/")[0] for name in names(done, "image")] == [HOST] * 2
    assert names(done, "image")[-1] == COLD[0], "the last that was used goes last"
    assert [one["freed"] for one in done["removed"]] == [one["freed"] for one in told["removed"]]
    assert all(one["why"] and one["last_used_at"] for one in told["removed"])
    why = {one["name"]: one["why"] for one in told["kept"]}
    assert why[COLD[3]] == "in_use"
    assert why[COLD[2]] == why["busy"].replace("running", "foreign") == "foreign"
    assert why["labelled"] == "kept"
    left = small.docker("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    assert COLD[0] not in left
    assert not {COLD[1], f"{HOST}/dags:second-name"} & set(left), "by all its names"
    assert {COLD[2], COLD[3], COLD[4], "elsewhere/mine:1"} <= set(left)
    shown = product.run_cli("cleanup", "--dry-run", **how).stdout  # type: ignore[arg-type]
    assert "nothing would be removed" in shown
    assert "in_use" in shown


def dry_run(product: Product, how: dict[str, Any]) -> str:
    done = product.run_cli("cleanup", "--dry-run", "--json", **how)
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("published")
def test_an_engine_that_comes_and_goes_is_told_and_nothing_is_forgotten(
    small: Engine, registry: Registry, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    settings = by_hand(small, tmp_path, unused_for="1h")
    daemon = product.start_daemon(settings, ecr_url=ecr_url, env=registry.environment(), measured=False)
    daemon.wait_for(lambda status: status["ready"] and status["cleanup"]["listening"])
    tasks = Tasks(small, login_in(tmp_path / "docker" / "config.json"))
    assert tasks.run(COLD[0]), tasks.failures
    state = tmp_path / "state" / "cleanup.json"
    wait_until(lambda: COLD[0] in state.read_text(), 20, "the use in the state file")
    daemon.wait_for(lambda status: not small.docker("ps", "--all", "--quiet").stdout, within=30)
    small.stop()
    daemon.wait_for(lambda status: not status["cleanup"]["listening"])
    before = json.loads(state.read_text())["images"]  # the listener saves before it says that the events have ended
    daemon.wait_for(lambda status: "there is no engine at" in str(status["cleanup"]["last_error"]))
    assert daemon.status()["ready"], "the logins are no matter of the cleanup"
    small.start()
    daemon.wait_for(lambda status: status["cleanup"]["listening"], within=60)
    daemon.wait_for(lambda status: status["cleanup"]["last_error"] is None, within=60)
    after = json.loads(state.read_text())["images"]
    assert {image: seen[:2] for image, seen in after.items()} == {image: seen[:2] for image, seen in before.items()}
    assert daemon.metrics().value("ecr_refresher_cleanup_failures_total", what="events", reason="transient") >= 1

    # Broken: begun anew, and nothing goes for `unused_for`.
    listener = children_of(daemon.pid)
    daemon.stop()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in listener), 10, "the end of all children")
    state.write_text("{")
    done = product.run_cli("cleanup", "--json", settings=settings, ecr_url=ecr_url, env=registry.environment())
    assert done.exit_code == 0
    assert [one["why"] for one in done.json()["kept"] if one["what"] == "image"] == ["too_young"]
    assert "state_file_broken" in done.stderr


@pytest.mark.timeout(300 + 2 * ROUNDS)
@pytest.mark.usefixtures("published")
def test_no_pull_build_or_run_fails_while_it_removes_as_fast_as_it_can(
    small: Engine, registry: Registry, tmp_path: Path
) -> None:
    rules = Cleanup(
        engine=plan.Engine(small.url),
        state_file=str(tmp_path / "uses.json"),
        containers=ContainerRules(exited_for=0.5),
        images=ImageRules(max_size=1, unused_for=4.0),
    )
    clock, over = AwsClock(), threading.Event()
    wanted = plan.Plan((ours(registry),), cleanup=rules)
    removed: list[wire.Removed] = []
    crashes: list[BaseException] = []

    def note(line: wire.Line) -> None:
        if isinstance(line, wire.Removed):
            removed.append(line)

    def clean_on() -> None:
        try:
            while not over.is_set():
                clean(wanted, (HOST,), clock, note, login=login(registry), dry_run=False, ends_at=clock.boot() + 60)
        except BaseException as error:
            crashes.append(error)

    listener = threading.Thread(target=lambda: Listener(rules, clock, note).hear(), daemon=True)
    cleaner = threading.Thread(target=clean_on, daemon=True)
    listener.start()
    cleaner.start()
    tasks = Tasks(small, token(registry))
    # As on a host: some are in use all the time, the others come back long after they have gone. One that comes back in
    # the very moment of its removal may fail: the engine knows no lock, and takes its time to remove (docs/cleanup.md).
    images = sequence(HOT, COLD, ROUNDS)

    def one(number: int) -> None:
        image = images[number]
        # Whoever only looks whether it is there, and creates later, has a gap of his own that nobody else can close.
        tasks.run(image, pull_always=True)
        if number % 4 == 0:
            tasks.build_on(image, f"built-here:{number}")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(one, range(ROUNDS)))
    over.set()
    cleaner.join(60)
    gone = Counter(line.what for line in removed)
    print(f"{tasks.runs} runs in {ROUNDS} rounds, {sum(tasks.pulls.values())} pulls; removed meanwhile: {dict(gone)}")
    assert tasks.failures == []
    assert crashes == []
    assert gone["image"] > ROUNDS // 10
    assert gone["container"] > ROUNDS // 4


def cleaner(
    engine: Engine, registry: Registry, directory: Path, *, containers: dict[str, Any] | None = None, **more: Any
) -> Callable[..., CleanupReport]:
    """Return one cleanup of everything that was unused for a second; `dry_run=True` only lists what it would remove."""
    rules = Cleanup(
        engine=plan.Engine(engine.url),
        state_file=str(directory / "uses.json"),
        containers=ContainerRules(**{"exited_for": 1.0, **(containers or {})}),
        images=ImageRules(**{"max_size": 1, "unused_for": 1.0, **more}),
    )
    whole = plan.Plan((ours(registry),), cleanup=rules)
    clock = AwsClock()

    def clean_all(*, dry_run: bool = False) -> CleanupReport:
        return clean(
            whole, (HOST,), clock, lambda _: None, dry_run=dry_run, ends_at=clock.boot() + 60, login=login(registry)
        )

    return clean_all


def told_of(record: CleanupReport, what: str) -> tuple[list[str], dict[str, Failure]]:
    """What went, and what was hindered."""
    gone = [one.name for one in record.gone if one.what == what]
    return gone, {str(trouble.name): trouble.failure for trouble in record.troubles if trouble.what == what}


def until_they_may_go(clean_all: Callable[..., CleanupReport], what: str, *names: str) -> None:
    """Wait until a cleanup would remove all of these."""

    def they_may_go() -> bool:
        return set(names) <= set(told_of(clean_all(dry_run=True), what)[0])

    wait_until(they_may_go, 20, f"{what}s that may go: {names}")


@pytest.mark.usefixtures("published")
def test_what_comes_into_use_in_the_moment_of_its_removal_is_refused_by_the_engine_told_and_tried_later(
    small: Engine, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, clean_all = Tasks(small, token(registry)), cleaner(small, registry, tmp_path)
    assert all(tasks.run(image, leave=False) for image in COLD[:3]), tasks.failures
    small.docker("tag", COLD[1], f"{HOST}/dags:second-name")
    clean_all()  # from now on their uses are known
    until_they_may_go(clean_all, "image", *COLD[:3])
    remove, started = docker.APIClient.remove_image, list[str]()

    def start_one_first(api: docker.APIClient, image: str, *args: Any, **more: Any) -> Any:
        """A container of the image comes between our last look and our request; from then on the engine is asked."""
        for name in COLD[:2]:
            if name not in started:
                started.append(name)
                small.docker("create", "--network", "none", "--name", name.rpartition(":")[2], name, "true")
        return remove(api, image, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(docker.APIClient, "remove_image", start_one_first)
        gone, hindered = told_of(clean_all(), "image")
    assert gone == [COLD[2]]
    assert set(hindered) <= {COLD[0], COLD[1]}
    assert len(hindered) >= 1
    assert {failure.reason for failure in hindered.values()} == {Reason.TRANSIENT}
    assert all("next cleanup tries again" in failure.fix for failure in hindered.values())
    left = set(small.docker("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split())
    assert {COLD[0], COLD[1], f"{HOST}/dags:second-name"} <= left, "by all their names"

    for name in COLD[:2]:
        small.docker("rm", name.rpartition(":")[2])
    wait_until(lambda: len(told_of(clean_all(dry_run=True), "image")[0]) == 2, 20, "images that may go")
    gone, hindered = told_of(clean_all(), "image")
    assert set(gone) >= {COLD[0]}
    assert hindered == {}
    assert COLD[1] not in small.docker("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()


@pytest.mark.usefixtures("published")
def test_a_container_that_is_started_in_the_moment_of_its_removal_stays(
    small: Engine, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, clean_all = Tasks(small, token(registry)), cleaner(small, registry, tmp_path)
    assert tasks.run(COLD[0], leave=False), tasks.failures
    small.docker("run", "--network", "none", "--name", "again", COLD[0], "sleep", "0.1")
    until_they_may_go(clean_all, "container", "again")
    remove = docker.APIClient.remove_container

    def start_first(api: docker.APIClient, container: str, **more: Any) -> Any:
        small.docker("update", "--restart", "always", container)
        small.docker("start", container)
        return remove(api, container, **more)

    with monkeypatch.context() as patch:
        patch.setattr(docker.APIClient, "remove_container", start_first)
        gone, hindered = told_of(clean_all(), "container")
    assert gone == []
    assert hindered["again"].reason is Reason.TRANSIENT
    assert "again" in small.docker("ps", "--all", "--format", "{{.Names}}").stdout
    small.docker("update", "--restart", "no", "again")
    small.docker("stop", "again")
    until_they_may_go(clean_all, "container", "again")
    assert told_of(clean_all(), "container")[0] == ["again"]


@pytest.mark.usefixtures("published")
def test_what_is_being_pulled_is_waited_for(small: Engine, registry: Registry, tmp_path: Path) -> None:
    tasks, clean_all = Tasks(small, token(registry)), cleaner(small, registry, tmp_path)
    assert tasks.run(COLD[0], leave=False), tasks.failures
    clean_all()
    until_they_may_go(clean_all, "image", COLD[0])
    registry.front.slow(2.0)
    pulled_at: list[float] = []

    def pull() -> None:
        assert tasks.run(COLD[1], leave=False), tasks.failures
        pulled_at.append(time.monotonic())

    with ThreadPoolExecutor(1) as pool:
        pulling = pool.submit(pull)
        downloads = small.data_root / "tmp"
        wait_until(lambda: list(downloads.glob("GetImageBlob*")), 30, "a download")
        record = clean_all()
        removed_at = time.monotonic()
        registry.front.heal()
        pulling.result(60)
    assert told_of(record, "image") == ([COLD[0]], {})
    assert not list(downloads.glob("GetImageBlob*"))
    assert removed_at > pulled_at[0] - 1.0, "not before the layers were there"


def until_something_goes(clean_all: Callable[..., CleanupReport]) -> CleanupReport:
    """Clean until images have been unused for long enough; the report of the cleanup that removed some."""
    reports: list[CleanupReport] = []

    def went() -> bool:
        reports.append(clean_all())
        return any(one.what == "image" for one in reports[-1].gone)

    wait_until(went, 20, "an image that goes")
    return reports[-1]


@pytest.mark.usefixtures("published")
def test_only_what_the_registry_can_give_back_goes(small: Engine, registry: Registry, tmp_path: Path) -> None:
    repositories = ("kept", "deleted", "archived", "denied")
    images = {name: f"{HOST}/{name}:1" for name in repositories}
    digests = {}
    for name in repositories:
        publish(registry.upstream, name, "1", 100_000)
    tasks, clean_all = Tasks(small, token(registry)), cleaner(small, registry, tmp_path)
    assert all(tasks.run(image, leave=False) for image in images.values()), tasks.failures
    for name in repositories:
        told = json.loads(small.docker("image", "inspect", images[name]).stdout)
        digests[name] = told[0]["RepoDigests"][0].partition("@")[2]
    delete_manifest(registry, "deleted", digests["deleted"])
    registry.front.of_manifests = {"archived": 404, "denied": 403}
    before = len(registry.front.logins)
    record = until_something_goes(clean_all)
    assert [one.name for one in record.gone if one.what == "image"] == [images["kept"]]
    kept = {one.name: (one.why, one.word) for one in record.stayed if one.what == "image"}
    missing = ("not_pullable", f"{HOST} does not have it (deleted, or archived)")
    denied = ("not_pullable", f"{HOST} denies it")
    assert kept == {images["deleted"]: missing, images["archived"]: missing, images["denied"]: denied}
    asked = len(registry.front.logins) - before
    for _ in range(3):
        clean_all()
    assert len(registry.front.logins) - before == asked, "an answer is remembered for an hour"
    assert record.short
    assert "volumes" not in record.unreclaimed or record.unreclaimed["volumes"] >= 0


@pytest.mark.timeout(180 + 3 * CANDIDATES)
def test_an_image_is_asked_for_once_in_an_hour_at_most(small: Engine, registry: Registry, tmp_path: Path) -> None:
    began = time.monotonic()
    for number in range(CANDIDATES):
        publish(registry.upstream, "many", str(number), 1000)
    issued = registry.book.issue(life_s=3600)
    assert small.login(HOST, issued.username, issued.password, tmp_path).returncode == 0
    pulled = small.docker("pull", "--all-tags", f"{HOST}/many", config=tmp_path, within=60 + CANDIDATES)
    assert pulled.returncode == 0, pulled.stderr
    pulled_at = time.monotonic()
    registry.front.of_manifests = {"many": 403}
    clean_all, reports = cleaner(small, registry, tmp_path), list[CleanupReport]()
    before = len(registry.front.logins)

    def all_stay() -> bool:
        reports.append(clean_all())
        return sum(one.why == "not_pullable" for one in reports[-1].stayed) == CANDIDATES

    wait_until(all_stay, 60 + CANDIDATES, "that no image can be had again")
    asked_at = time.monotonic()
    reports += [clean_all() for _ in range(3)]
    ended_at = time.monotonic()
    paths = [login.path for login in registry.front.logins[before:]]
    manifests = [path for path in paths if "/manifests/" in path]
    print(
        f"{CANDIDATES} candidates: {len(manifests)} requests for manifests and {len(paths) - len(manifests)} others; "
        f"pulled after {pulled_at - began:.1f} s, all asked for {asked_at - pulled_at:.1f} s later, "
        f"three more cleanups in {ended_at - asked_at:.1f} s"
    )
    assert {one.word for one in reports[-1].stayed} == {f"{HOST} denies it"}
    assert all(not report.gone and not report.troubles for report in reports)
    assert 0 < len(manifests) <= CANDIDATES


@pytest.mark.usefixtures("published")
def test_without_an_answer_of_the_registry_nothing_goes(small: Engine, registry: Registry, tmp_path: Path) -> None:
    tasks, clean_all = Tasks(small, token(registry)), cleaner(small, registry, tmp_path)
    assert tasks.run(COLD[0], leave=False), tasks.failures
    registry.front.slow(4.0)
    reports: list[CleanupReport] = []

    def is_kept() -> bool:
        reports.append(clean_all())
        return any(one.why == "not_pullable" for one in reports[-1].stayed)

    wait_until(is_kept, 40, "the image that stays")
    assert [one.name for report in reports for one in report.gone if one.what == "image"] == []
    (kept,) = [one for one in reports[-1].stayed if one.what == "image"]
    assert "gives no answer" in (kept.word or "")


def test_orchestrated_containers_stay_and_anonymous_volumes_go_where_asked_for(
    small: Engine, registry: Registry, tmp_path: Path
) -> None:
    publish(registry.upstream, "web", "1", 100_000)
    image = f"{HOST}/web:1"
    tasks = Tasks(small, token(registry))
    assert tasks.run(image, leave=False), tasks.failures
    run = ("run", "--network", "none")
    small.docker(*run, "--name", "task", "--label", "com.amazonaws.ecs.task-arn=arn", image, "true")
    small.docker("volume", "create", "named")
    small.docker(*run, "--name", "plain", "--volume", "/scratch", "--volume", "named:/kept", image, "true")

    def volumes() -> set[str]:
        return set(small.docker("volume", "ls", "--quiet").stdout.split())

    assert len(volumes()) == 2
    rules = {"exited_for": 0.5, "anonymous_volumes": True}
    wait_until(lambda: cleaner(small, registry, tmp_path, containers=rules)().gone, 20, "the plain container")
    assert volumes() == {"named"}
    assert small.docker("ps", "--all", "--format", "{{.Names}}").stdout.split() == ["task"]
    taken_in = {"exited_for": 0.5, "orchestrated": True}
    wait_until(lambda: cleaner(small, registry, tmp_path, containers=taken_in)().gone, 20, "the task's container")
    small.docker("volume", "rm", "named")


def test_nameless_parents_go_with_their_child_and_no_more_images_than_needed(
    small: Engine, registry: Registry, tmp_path: Path
) -> None:
    """Three images of 20 MB each, made by the legacy builder on parents without names, and pushed."""
    publish(registry.upstream, "base", "1", 1000)
    tasks = Tasks(small, token(registry))
    assert tasks.run(f"{HOST}/base:1", leave=False), tasks.failures
    api = docker.APIClient(base_url=small.url, version="auto", timeout=60)
    with contextlib.closing(api):
        for number in range(3):
            context = tmp_path / f"context-{number}"
            context.mkdir()
            (context / "blob").write_bytes(os.urandom(20_000_000))
            steps = f"FROM {HOST}/base:1\nCOPY blob /blob\nENV NUMBER={number}\nCMD true\n"
            (context / "Dockerfile").write_text(steps)
            list(api.build(path=str(context), tag=f"{HOST}/made:{number}", rm=True))
            list(api.push(f"{HOST}/made", tag=str(number), auth_config=token(registry), stream=True))
    clean_all = cleaner(small, registry, tmp_path, max_size=55_000_000)
    record = until_something_goes(clean_all)
    assert len([one for one in record.gone if one.what == "image"]) == 1
    assert sum(one.freed for one in record.gone if one.what == "image") >= 20_000_000
    assert not record.short


def test_a_thousand_images_take_seconds_and_little_memory(
    small: Engine, registry: Registry, ecr_url: str, product: Product, tmp_path: Path
) -> None:
    load_many(small, [f"{HOST}/many:{number}" for number in range(1000)])
    settings = cleanup_settings(small, tmp_path, images={"max_size": "1kB", "unused_for": "1h"}, every="2s")
    daemon = product.start_daemon(settings, ecr_url=ecr_url, env=registry.environment(), measured=False)
    status = daemon.wait_for(lambda status: (status.get("cleanup") or {}).get("images") == 1000, within=120)["cleanup"]
    assert status["protected"] == {"never_pushed": 1000}
    small.docker("create", "--network", "none", f"{HOST}/many:7", "true")
    wait_until(lambda: daemon.status()["cleanup"]["last_run_at"] != status["last_run_at"], 60, "another cleanup")
    memory = [resident_mb(pid) for pid in daemon_listeners(daemon.pid)]
    used = daemon.status()["cleanup"]["duration_seconds"]
    print(f"1,000 images: {used} s for a cleanup, listener {memory} MB, supervisor {resident_mb(daemon.pid):.1f} MB")
    assert len(memory) == 1
    assert memory[0] <= 60
    assert resident_mb(daemon.pid) <= 32


def test_the_build_cache_is_kept_to_its_size(small: Engine, product: Product, tmp_path: Path) -> None:
    small.prepare_image()
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text(
        f"FROM {small.image}\nRUN dd if=/dev/zero of=/blob bs=1M count=6\nRUN echo built\n"
    )
    build = ["build", "--network", "none", "--tag", "built:1", str(tmp_path / "context")]
    small.docker(*build, env={"DOCKER_BUILDKIT": "1"})

    def cached() -> int:
        api = docker.APIClient(base_url=small.url, version="auto")
        with contextlib.closing(api):
            return sum(record["Size"] for record in api.df()["BuildCache"] if not record["Shared"])

    small.docker("image", "rm", "built:1")
    before = cached()
    assert before > 6_000_000
    settings = cleanup_settings(small, tmp_path, build_cache={"max_size": "1MB"})
    del settings["cleanup"]["images"], settings["cleanup"]["containers"]
    told = product.run_cli("cleanup", "--dry-run", "--json", settings=settings).json()
    assert [one["what"] for one in told["removed"]] == ["build_cache"]
    assert cached() == before
    done = product.run_cli("cleanup", "--json", settings=settings)
    assert done.exit_code == 0, done.stderr
    assert [one["what"] for one in done.json()["removed"]] == ["build_cache"]
    assert cached() <= 1_000_000
