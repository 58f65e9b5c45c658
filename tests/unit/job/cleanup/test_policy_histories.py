"""Random histories of a host: whatever happens on it, the policy removes nothing that it may not, and all it must."""

from __future__ import annotations

from hypothesis import event, given, settings
from hypothesis import strategies as st

from ecr_refresher.core.plan import ImageRules
from ecr_refresher.job.cleanup.policy import Image, Judged, Layers, Registries, Usage, goal, judge_images
from ecr_refresher.job.cleanup.policy import own as own_images

from .host_model import NEVER_OURS, OTHER, OURS, PARTNER, Host

UNUSED_FOR = 30.0
DISK = 10_000
BOTH = frozenset({OURS, PARTNER})

# A history is a tape of bytes, four to each thing that happens: what, of which one, and two numbers more.
TAPE = st.binary(min_size=4 * 12, max_size=4 * 40)
CLEAN_EVERY = 12
REPOSITORIES = ("web", "etl", "etl", "base")


def name(where: int, which: int) -> str:
    """Mostly one of ours."""
    hosts = (OURS,) * 6 + (PARTNER,) * 4 + (OTHER, NEVER_OURS)
    return f"{hosts[where % len(hosts)]}/{REPOSITORIES[which % 4]}:{which // 4 % 2}"


def happen(host: Host, what: int, which: int, one: int, two: int) -> None:
    """One thing on the host; what needs an image or a container is a pull if there is none."""
    images, containers = list(host.images), list(host.containers)
    image = images[which % len(images)] if images else None
    container = containers[which % len(containers)] if containers else None
    match what % 12:
        case 0 if image:
            host.build(image, name(one, two) if one % 3 else None, 1 + two)
        case 1 if image:
            host.tag(image, name(one, two))
        case 2 | 3 if image:
            host.run(image)
        case 4 | 5 if container:
            host.end(container)
        case 6 if container:
            host.remove_container(container)
        case 7 | 8:
            host.now += 1 + one / 4
        case 9 if one % 2:
            host.stop_listening()
        case 10 if one % 2:
            host.listen_again()
        case _:
            host.pull(name(one, two), 1 + 2 * which, two % 3)


def cleaning(which: int, one: int, two: int) -> tuple[frozenset[str], bool, float, int | None]:
    """How it is cleaned: the registries that are valid now, whether all images, the disk's mark, and `max_size`."""
    valid = (BOTH, BOTH, BOTH, frozenset({OURS}), frozenset({PARTNER}), frozenset[str]())[which % 6]
    return valid, one % 3 == 0, 0.01 + (one % 50) / 250, 100 + 7 * two if two % 2 else None


def chosen_of(judged: Judged, images: list[Image], used: set[str], usage: Usage, rules: ImageRules) -> list[Image]:
    """What a cleanup removes that asks nobody: candidates in order, until no mark is exceeded."""
    wanted, layers, chosen = goal(usage, rules), Layers(own_images(images, used)), list[Image]()
    for image in judged.candidates:
        if not wanted.open(usage, rules):
            break
        usage = usage.less(layers.remove(image))
        chosen.append(image)
    return chosen


# --- what may go, said again in other words --------------------------------------------------------------------------
def host_of(name: str) -> str:
    return name.partition("/")[0]


def may_go_alone(host: Host, image: Image, rules: ImageRules, valid: frozenset[str], known: float) -> bool:
    names = image.tags + image.digests
    ours = bool(names) and all(host_of(name) in BOTH for name in names)
    pushed = {name.split("@")[0] for name in image.digests}
    here_only = any(tag.rsplit(":", 1)[0] not in pushed for tag in image.tags)
    return (
        not any(container.image_id == image.id for container in host.containers.values())
        and (rules.every or (ours and not here_only))
        and not any("base" in name for name in names)
        and all(host_of(name) in valid for name in names if host_of(name) in BOTH)
        and host.now - known >= UNUSED_FOR
    )


def below(host: Host, image: Image) -> list[Image]:
    """Everything that was built on an image, however far down."""
    found, more = [], [image.id]
    while more:
        parent = more.pop()
        for other in host.images.values():
            if other.parent == parent:
                found.append(other)
                more.append(other.id)
    return found


def is_own(host: Host, image: Image) -> bool:
    return bool(image.tags or image.digests) or not any(other.parent == image.id for other in host.images.values())


def bytes_of(images: list[Image]) -> int:
    layers: dict[str, int] = {}
    for image in images:
        layers.update(image.layers)
    return sum(layers.values())


def clean(host: Host, valid: frozenset[str], every: bool, above: float, max_size: int | None) -> None:
    rules = ImageRules(True, above, above * 0.7, max_size, UNUSED_FOR, ("*/base:*",), every)
    if not host.listening:
        host.listen_again()
    listed = host.as_listed()
    known = {image.id: image.last_used_at for image in listed}
    in_use = {container.image_id for container in host.containers.values()}
    judged = judge_images(listed, in_use, rules, Registries(BOTH, valid), host.now)
    everything = list(host.images.values())
    usage = Usage(bytes_of(everything), DISK, bytes_of(everything))
    chosen = chosen_of(judged, listed, in_use, usage, rules)

    event(f"{len(chosen)} chosen")
    event(f"{len(judged.candidates)} candidates")

    # Nobody else's last use is older than the listener believes: it may err on the safe side only.
    assert all(known[image_id] >= used_at for image_id, used_at in host.used_at.items())

    own = [image for image in everything if is_own(host, image)]
    alone = {image.id for image in own if may_go_alone(host, image, rules, valid, known[image.id])}
    allowed = {
        image.id
        for image in own
        if image.id in alone and all(child.id in alone for child in below(host, image) if is_own(host, child))
    }
    order = [image.id for image in chosen]
    assert set(order) <= allowed
    assert {image.id for image in judged.candidates} == allowed
    assert {image.id for image, _ in judged.kept} == {image.id for image in own} - allowed
    for image_id in order:
        assert host.now - host.used_at[image_id] >= UNUSED_FOR
        for child in below(host, host.images[image_id]):
            assert child.id not in allowed or order.index(child.id) < order.index(image_id)

    # Least recently used first, and nobody is passed over.
    recency = {image.id: max([known[image.id], *(known[child.id] for child in below(host, image))]) for image in own}
    assert [recency[image_id] for image_id in order] == sorted(recency[image_id] for image_id in allowed)[: len(order)]

    # As much as needed, and no more.
    def left(gone: list[str]) -> int:
        there = {image.id: image for image in everything if image.id not in gone}
        parents = {image.parent for image in everything}
        while True:  # the engine removes nameless images with their last child, unless a container uses them
            needed = {image.parent for image in there.values()} | in_use
            orphans = [i for i, one in there.items() if i in parents - needed and not one.names]
            if not orphans or not gone:
                return bytes_of(list(there.values()))
            for image_id in orphans:
                del there[image_id]

    used = left([])
    disk_over, size_over = used / DISK > above, max_size is not None and used > max_size

    def reached(gone: list[str]) -> bool:
        small = max_size is None or not size_over or left(gone) <= max_size
        return small and (not disk_over or left(gone) / DISK < above * 0.7)

    assert reached(order) or set(order) == allowed
    assert not order or not reached(order[:-1])
    for image_id in order:
        host.remove_image(image_id)


@settings(max_examples=2000)
@given(TAPE)
def test_no_history_makes_it_remove_what_is_needed_or_leave_what_is_not(tape: bytes) -> None:
    host = Host()
    for number, (what, *more) in enumerate(zip(*[iter(tape)] * 4, strict=False), 1):
        happen(host, what, *more)
        if number % CLEAN_EVERY == 0:
            clean(host, *cleaning(*more))
            host.now += 2 * UNUSED_FOR  # long enough for all that is not in use
            clean(host, *cleaning(*more))
