"""Single rules of the policy, each by an example."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ecr_refresher.core.plan import ContainerRules, ImageRules
from ecr_refresher.job.cleanup import names, wording
from ecr_refresher.job.cleanup.policy import (
    Container,
    Image,
    Kept,
    Layers,
    Registries,
    judge_container,
    judge_images,
    may_wait,
    own,
)

from .host_model import OTHER, OURS, PARTNER

NOW = 10_000.0
REGISTRIES = Registries(frozenset({OURS, PARTNER}), frozenset({OURS, PARTNER}))
IMAGE = Image("sha256:1", (f"{OURS}/web:1",), (f"{OURS}/web@sha256:a",), "", 100, NOW - 90_000)
ENDED = Container("c1", "web", IMAGE.id, f"{OURS}/web:1", "exited", NOW - 3600)


@pytest.mark.parametrize(
    ("container", "rules", "why"),
    [
        (ENDED, ContainerRules(), None),
        (replace(ENDED, state="dead"), ContainerRules(), None),
        (replace(ENDED, state="created"), ContainerRules(), None),
        (replace(ENDED, state="running"), ContainerRules(exited_for=0.0), Kept.RUNNING),
        (replace(ENDED, state="paused"), ContainerRules(exited_for=0.0), Kept.RUNNING),
        (replace(ENDED, state="restarting"), ContainerRules(exited_for=0.0), Kept.RUNNING),
        (replace(ENDED, state="removing"), ContainerRules(exited_for=0.0), Kept.RUNNING),
        (replace(ENDED, ended_at=NOW - 3599), ContainerRules(), Kept.TOO_YOUNG),
        (replace(ENDED, ended_at=None), ContainerRules(), Kept.TOO_YOUNG),
        (replace(ENDED, state="created", ended_at=NOW - 30), ContainerRules(exited_for=0.0), Kept.TOO_YOUNG),
        (replace(ENDED, state="created", ended_at=NOW - 61), ContainerRules(exited_for=0.0), None),
        (replace(ENDED, image_name="postgres:16"), ContainerRules(), Kept.FOREIGN),
        (replace(ENDED, image_name="postgres:16"), ContainerRules(every=True), None),
        (replace(ENDED, image_name=IMAGE.id), ContainerRules(), None),
        (replace(ENDED, labels={"keep": ""}), ContainerRules(keep_labels=("keep",)), Kept.KEPT),
        (replace(ENDED, labels={"team": "data"}), ContainerRules(keep_labels=("team=data",)), Kept.KEPT),
        (replace(ENDED, labels={"team": "web"}), ContainerRules(keep_labels=("team=data", "keep")), None),
        (replace(ENDED, labels={"dag": "x"}), ContainerRules(only_labels=("dag", "team=data")), Kept.UNMARKED),
        (replace(ENDED, labels={"dag": "x", "team": "data"}), ContainerRules(only_labels=("dag", "team=data")), None),
    ],
)
def test_which_containers_go(container: Container, rules: ContainerRules, why: Kept | None) -> None:
    assert judge_container(container, IMAGE, rules, REGISTRIES, NOW) is why


def why_kept(image: Image, rules: ImageRules | None = None, registries: Registries = REGISTRIES) -> Kept | None:
    judged = judge_images([image], (), rules or ImageRules(), registries, NOW)
    return judged.kept[0][1] if judged.kept else None


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (IMAGE, None),
        (replace(IMAGE, tags=()), None),  # untagged: a `latest` that has moved on
        (replace(IMAGE, tags=(), digests=()), Kept.FOREIGN),
        (replace(IMAGE, digests=()), Kept.NEVER_PUSHED),
        (replace(IMAGE, tags=(*IMAGE.tags, f"{OURS}/other:1")), Kept.NEVER_PUSHED),
        (replace(IMAGE, tags=(*IMAGE.tags, "mine:1")), Kept.FOREIGN),
        (replace(IMAGE, digests=(*IMAGE.digests, f"{OTHER}/web@sha256:a")), Kept.FOREIGN),
        (replace(IMAGE, digests=(*IMAGE.digests, f"{PARTNER}/web@sha256:a")), None),
        (replace(IMAGE, last_used_at=NOW - 86_399), Kept.TOO_YOUNG),
    ],
)
def test_which_images_go(image: Image, why: Kept | None) -> None:
    assert why_kept(image) is why


def test_without_a_valid_credential_for_each_of_its_registries_an_image_stays() -> None:
    both = replace(IMAGE, digests=(*IMAGE.digests, f"{PARTNER}/web@sha256:a"))
    one_valid = Registries(REGISTRIES.ours, frozenset({OURS}))
    assert why_kept(IMAGE, registries=one_valid) is None
    assert why_kept(both, registries=one_valid) is Kept.NO_CREDENTIAL
    assert why_kept(both, ImageRules(every=True), one_valid) is Kept.NO_CREDENTIAL


@pytest.mark.parametrize("pattern", ["*/web:*", "web:1", "web", f"{OURS}/*", "*:1", "w?b"])
def test_patterns_keep_with_and_without_the_host(pattern: str) -> None:
    assert why_kept(IMAGE, ImageRules(keep=(pattern,))) is Kept.KEPT
    assert why_kept(IMAGE, ImageRules(keep=("*/base:*", "webs"))) is None


BUSYBOX = [
    "busybox:1",
    "busybox:*",
    "busybox",
    "library/busybox:1",
    "docker.io/busybox:1",
    "docker.io/library/busybox:*",
    "index.docker.io/library/busybox",
    "docker.io/*",
]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        *[(name, pattern) for name in ("busybox:1", "docker.io/library/busybox:1") for pattern in BUSYBOX],
        ("acme/x:1", "docker.io/acme/x:1"),
        ("acme/x:1", "index.docker.io/acme/*"),
        ("docker.io/acme/x:1", "acme/x:1"),
        ("localhost/x:1", "localhost/x:*"),
        ("localhost/x:1", "x"),
        ("registry:5000/x:1", "registry:5000/*"),
    ],
)
def test_patterns_keep_images_by_what_docker_podman_and_people_call_them(name: str, pattern: str) -> None:
    for image in (Image("sha256:1", (name,)), Image("sha256:1", (), (f"{names.repository(name)}@sha256:a",))):
        rules = ImageRules(every=True, keep=(pattern.replace(":1", ":*"),))
        assert why_kept(image, rules) is Kept.KEPT


@pytest.mark.parametrize(
    "pattern", ["docker.io/*", "index.docker.io/*", "library/*", "docker.io/library/web", "localhost/*", "web@*:b"]
)
def test_patterns_of_docker_hub_and_of_other_digests_keep_nothing_else(pattern: str) -> None:
    for image in (IMAGE, replace(IMAGE, tags=("localhost/web:1",), digests=("localhost/web@sha256:a",))):
        kept = why_kept(image, ImageRules(every=True, keep=(pattern,))) is Kept.KEPT
        assert kept is (pattern == "localhost/*" and image is not IMAGE)


@pytest.mark.parametrize("pattern", [f"{OURS}/web@sha256:a", "web@sha256:a", "*@sha256:a"])
def test_a_pattern_may_name_a_digest(pattern: str) -> None:
    assert why_kept(IMAGE, ImageRules(keep=(pattern,))) is Kept.KEPT


def test_an_untagged_image_is_kept_by_a_pattern_of_any_tag() -> None:
    untagged = replace(IMAGE, tags=())
    assert why_kept(untagged, ImageRules(keep=("*/web:*",))) is Kept.KEPT
    assert why_kept(untagged, ImageRules(keep=("*/web:latest",))) is None


def test_a_layer_that_others_share_is_not_freed() -> None:
    old = replace(IMAGE, layers=(("base", 70), ("old", 30)))
    new = replace(old, id="sha256:2", last_used_at=old.last_used_at + 1, layers=(("base", 70), ("new", 20)))
    layers = Layers([new, old])
    assert [layers.remove(old), layers.remove(new)] == [30, 90]


def test_a_nameless_parent_saves_no_layer_of_its_last_child() -> None:
    parent = replace(IMAGE, id="sha256:p", tags=(), digests=(), layers=(("base", 70),))
    child = replace(IMAGE, parent=parent.id, layers=(("base", 70), ("web", 30)))
    assert own([parent, child]) == [child]
    assert Layers(own([parent, child])).freed_by(child) == 100


@pytest.mark.parametrize("label", ["com.amazonaws.ecs.task-arn", "io.kubernetes.pod.name", "com.docker.swarm.task.id"])
def test_what_an_orchestrator_started_stays_unless_the_rules_take_it_in(label: str) -> None:
    container = replace(ENDED, labels={label: "x"})
    for rules, why in ((ContainerRules(), Kept.ORCHESTRATED), (ContainerRules(orchestrated=True), None)):
        assert judge_container(container, None, rules, REGISTRIES, NOW) is why


def test_names_are_taken_apart_as_docker_does() -> None:
    assert names.host("busybox:1") == names.host("library/busybox") == "docker.io"
    assert names.host("localhost/x") == "localhost"
    assert names.host("registry:5000/x:1") == "registry:5000"
    assert names.repository("registry:5000/a/x:1") == "registry:5000/a/x"
    assert names.repository("registry:5000/a/x") == "registry:5000/a/x"
    assert names.repository(f"{OURS}/web@sha256:abc") == f"{OURS}/web"


def test_wording() -> None:
    assert [wording.duration(s) for s in (0.4, 7, 312, 93_784, 200_000)] == ["0s", "7s", "5m12s", "1d2h", "2d7h"]
    assert [wording.size(n) for n in (7, 1_982_319, 5 * 10**10, 10**16)] == ["7B", "1.98MB", "50GB", "10000TB"]


@pytest.mark.parametrize(
    ("waited_s", "filled", "left", "may"),
    [
        (0.0, 0, 1, True),
        (29.9, 10_000, 100_001, True),
        (30.0, 0, 10**12, False),  # there are always some
        (0.1, 10_000, 100_000, False),  # the disk fills
        (0.0, 0, 0, False),
    ],
)
def test_downloads_are_waited_for_while_the_disk_does_not_fill(
    waited_s: float, filled: int, left: int, may: bool
) -> None:
    assert may_wait(waited_s, filled, left) is may


@pytest.mark.timeout(10)
def test_images_that_an_engine_calls_each_other_s_parents_end_no_cleanup() -> None:
    circle = [replace(IMAGE, id=f"sha256:{number}", parent=f"sha256:{(number + 1) % 2000}") for number in range(2000)]
    judged = judge_images(circle, (), ImageRules(), REGISTRIES, NOW)
    assert len(judged.candidates) + len(judged.kept) == len(circle)
